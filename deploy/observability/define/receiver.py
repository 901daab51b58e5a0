"""The receiver's board: what providers see of us."""

from . import clock
from .model import Board, Panel, Query, Row
from .panels import LOSS_CLOCK, buckets, confirms, one, percentiles, quantile, rate, resources, rollout, slo_row
from .slo import NOT_OUR_FAULT, SLOS


def receiver():
    mine = 'provider=~"$provider"'
    duration = f"milepost_http_request_duration_seconds{{{mine}}}"
    return Board(
        "milepost-receiver",
        "Milepost / receiver",
        "What providers see of us, and what is behind the answers.",
        (
            slo_row(SLOS[:2], "$provider"),
            Row(
                "Intake",
                (
                    Panel(
                        "Webhooks",
                        "By what became of them.",
                        "ops",
                        one(
                            rate(f"milepost_http_requests_total{{{mine}}}", "provider, result") + " > 0",
                            "{{provider}} {{result}}",
                        ),
                    ),
                    Panel(
                        "Refused through our fault",
                        "What the provider has to send again.",
                        "ops",
                        one(
                            rate(
                                f'milepost_http_requests_total{{{mine},code=~"5..",result!~"{NOT_OUR_FAULT}"}}',
                                "provider, result",
                            ),
                            "{{provider}} {{result}}",
                        ),
                    ),
                    Panel(
                        "Refused, all reasons",
                        "wrong_credential: a secret that does not fit; not_an_object and the like: the provider's doing.",
                        "ops",
                        one(
                            rate(f"milepost_webhooks_rejected_total{{{mine}}}", "provider, reason") + " > 0",
                            "{{provider}} {{reason}}",
                        ),
                        empty="nothing is refused",
                    ),
                    Panel(
                        "How long an answer takes",
                        "From a request's headers to its answer.",
                        "s",
                        buckets(duration),
                        kind="heatmap",
                        width=12,
                    ),
                    Panel(
                        "How long an answer takes, percentiles",
                        "The promise is 250 ms for 99 of 100.",
                        "s",
                        percentiles(duration),
                        width=12,
                    ),
                ),
            ),
            Row(
                "Accounts",
                (
                    Panel(
                        "Accounts",
                        "As the receiver with the fewest has them; without_secret: none of its secrets can be read, so that it gets 503. "
                        "unusable: files of accounts_dir that cannot be used as they are now.",
                        "short",
                        (
                            Query(f"min by (provider, state) (milepost_accounts{{{mine}}})", "{{provider}} {{state}}"),
                            Query(f"max by (provider) (milepost_accounts_dir_unusable{{{mine}}})", "{{provider}} unusable"),
                        ),
                        width=12,
                    ),
                    Panel(
                        "Accounts most refused",
                        "Webhooks of configured accounts that were not accepted. Accounts beyond the first 200 that are refused are (other).",
                        "ops",
                        one(
                            f"topk(10, {rate(f'milepost_account_refusals_total{{{mine}}}', 'provider, account')} > 0)",
                            "{{provider}} {{account}}",
                        ),
                        width=12,
                        empty="nothing is refused",
                    ),
                ),
            ),
            Row(
                "Loss clock",
                (
                    LOSS_CLOCK,
                    Panel(
                        "Refusing for",
                        "How long we have been refusing each provider; nothing while we take its webhooks.",
                        "s",
                        one(f"time() - {clock.REFUSING_SINCE}{{{mine}}}", "{{provider}}"),
                        width=9,
                        empty="nothing is refused",
                    ),
                    Panel(
                        "Receivers that refuse",
                        "Of each provider's receivers, those that could take nothing lately.",
                        "short",
                        one(
                            f"sum by (provider) (milepost_refusing_since_timestamp_seconds{{{mine}}} > bool 0)",
                            "{{provider}}",
                        ),
                        width=9,
                    ),
                ),
            ),
            Row(
                "Spool: the second store",
                (
                    Panel(
                        "Filled",
                        "Share of what each provider's spool may hold, in webhooks or in bytes, whichever is more. Runbook: spool-nearly-full.",
                        "percentunit",
                        one(f"max by (provider) (milepost_spool_used{{{mine}}} / (milepost_spool_limit{{{mine}}} > 0))", "{{provider}}"),
                        width=6,
                        most=1,
                        empty="no provider's webhooks are spooled",
                    ),
                    Panel(
                        "In and out",
                        "Stored: RabbitMQ did not confirm, and Redis proved that it has it. Drained: published since. All else got 503.",
                        "ops",
                        (
                            Query(rate(f"milepost_spool_appends_total{{{mine}}}", "provider, result") + " > 0", "{{provider}} {{result}}"),
                            Query(rate(f"milepost_spool_drained_total{{{mine}}}", "provider") + " > 0", "{{provider}} drained"),
                        ),
                        width=6,
                        empty="RabbitMQ was not away",
                    ),
                    Panel(
                        "Oldest webhook",
                        "For how long it has been in the spool. Runbook: spool-not-drained.",
                        "s",
                        one(f"max by (provider) (milepost_spool_oldest_age_seconds{{{mine}}})", "{{provider}}"),
                        width=4,
                    ),
                    Panel(
                        "Time to the proof",
                        "99 of 100 webhooks that were to be spooled were stored, or refused, within this time after RabbitMQ failed.",
                        "s",
                        one(quantile(0.99, f"milepost_spool_append_duration_seconds{{{mine}}}", "provider"), "{{provider}}"),
                        width=4,
                        empty="RabbitMQ was not away",
                    ),
                    Panel(
                        "Can be spooled",
                        "Whether Redis proves to every receiver that what it takes is durable. Runbook: spool-not-durable.",
                        "short",
                        one(
                            f"min by (provider) (milepost_spool_durable{{{mine}}}) and on (provider) (milepost_spool_limit{{of=\"bytes\",{mine}}} > 0)",
                            "{{provider}}",
                        ),
                        width=4,
                        most=1,
                        empty="no provider's webhooks are spooled",
                    ),
                ),
            ),
            Row(
                "Load",
                tuple(
                    Panel(
                        title,
                        about,
                        "percentunit",
                        one(
                            f'max by (pod, instance) (milepost_receiver_used{{of="{of}"}} / (milepost_receiver_limit{{of="{of}"}} > 0))',
                            "{{pod}} {{instance}}",
                        ),
                        most=1,
                    )
                    for title, about, of in (
                        ("Requests under way", "Share of http.max_requests_in_flight, of the provider that has most; beyond it: 503, saturated or evicted.", "requests"),
                        ("Bodies in memory", "Share of http.max_bytes_in_flight, of the provider that has most; beyond it: 503, saturated or evicted.", "bytes"),
                        ("Open connections", "Share of http.max_connections; beyond it those that have proved nothing are closed.", "connections"),
                    )
                )
                + (
                    Panel(
                        "Connections ended",
                        "From our side, by why. Many evicted ones, or many whose head was late: a sender holds connections and sends nothing.",
                        "ops",
                        one(rate("milepost_connections_ended_total", "reason") + " > 0", "{{reason}}"),
                        empty="none is ended",
                    ),
                ),
            ),
            confirms("raw"),
            resources("receiver"),
            rollout("receiver"),
        ),
        provider=True,
    )
