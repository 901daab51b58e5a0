"""The HubRise sink's board: its queues, what becomes of updates, and what its connections spend."""

from .causes import queues
from .model import Board, Panel, Query, Row
from .overview import DELAY
from .panels import GREEN, RATE, RED, SETTLED, confirms, consumers, in_queue, one, quantile, rate, resources, rollout

ROLE = "sink-hubrise"
OF_SINK = f'* on (instance) group_left () (milepost_build_info{{role=~"{ROLE}|run"}})'
MINE = f'provider="{ROLE}"'


def sink():
    queue, links = 'queue="milepost.sink.hubrise"', 'queue="milepost.links.hubrise"'
    parked = 'queue=~"milepost\\\\.parked\\\\.(sink|links)-hubrise"'
    requests = "milepost_hubrise_requests_total"
    return Board(
        "milepost-sink",
        "Milepost / HubRise sink",
        "What is written to HubRise, what waits and why, and how many requests each connection has left.",
        (
            Row(
                "Connections",
                (
                    Panel(
                        "Paused",
                        "Connections on which nothing is sent, and why. Runbook: hubrise-paused.",
                        "short",
                        one(
                            "max by (connection, reason) (milepost_hubrise_paused) > 0",
                            "{{connection}} {{reason}}",
                        ),
                        kind="stat",
                        steps=((0, GREEN), (1, RED)),
                        empty="none is paused",
                    ),
                    Panel(
                        "Requests left",
                        "Of each connection's limits, which all replicas count together. At the reserve positions and estimates stop; at 0 all waits.",
                        "short",
                        one(
                            "min by (connection, window) (milepost_hubrise_requests_left)",
                            "{{connection}} {{window}}",
                        ),
                    ),
                    Panel(
                        "Left today, at this rate",
                        "Until a connection's requests of the day are spent, at the rate of the last hour. Below two hours: MilepostHubriseBudget.",
                        "s",
                        one(
                            'min by (connection) (milepost_hubrise_requests_left{window="day"}) '
                            f"/ (sum by (connection) (rate({requests}[1h])) > 0)",
                            "{{connection}}",
                        ),
                    ),
                ),
            ),
            Row(
                "Updates",
                (
                    Panel(
                        "What became of updates",
                        "shown: HubRise has it, or something newer; ignored: not for HubRise; late: older than what was published; unlinked: dropped. "
                        "deferred and retried come again.",
                        "ops",
                        one(rate(f"{SETTLED}{{{MINE}}}", "outcome"), "{{outcome}}"),
                    ),
                    Panel(
                        "Why updates wait",
                        "interval: sent a moment ago; busy: another replica has the order; limited: a limit is spent; away: HubRise does not answer; "
                        "paused: the token or the address is wrong; unlinked: no order is known.",
                        "ops",
                        one(
                            f'sum by (reason) (rate(milepost_sink_deferrals_total{{sink="{ROLE}"}}[{RATE}]))', "{{reason}}"
                        ),
                    ),
                    Panel(
                        "Age of what is shown",
                        "From a webhook's receipt to the moment HubRise shows it or something newer: half of the updates, and 99 of 100.",
                        "s",
                        (
                            Query(quantile(0.5, "milepost_sink_age_seconds"), "half"),
                            Query(quantile(0.99, "milepost_sink_age_seconds"), "99 of 100"),
                        ),
                        empty="nothing was shown",
                    ),
                    Panel(
                        "Retries",
                        "absent: HubRise has no such order yet; occupied: it has another delivery of ours; away: HubRise fails for this update alone.",
                        "ops",
                        one(rate(f"milepost_retries_total{{{MINE}}}", "reason"), "{{reason}}"),
                    ),
                    Panel(
                        "Parked in an hour, by reason",
                        "sink_refused: HubRise will never take it; foreign_delivery: the order's delivery is not ours.",
                        "short",
                        one(f"sum by (reason) (increase(milepost_parked_total{{{MINE}}}[1h]))", "{{reason}}"),
                    ),
                    Panel(
                        "Parked now",
                        "Updates, and links that services announced, that need an operator.",
                        "short",
                        one(f"sum by (queue) ({queues('messages', parked)})", "{{queue}}"),
                    ),
                    Panel(
                        "Links kept",
                        "Links that services announced on milepost.links.",
                        "ops",
                        one(rate(f'{SETTLED}{{provider="links-hubrise"}}', "outcome"), "{{outcome}}"),
                    ),
                ),
            ),
            Row(
                "Requests",
                (
                    Panel(
                        "By result",
                        "no_answer: a timeout, a lost connection, an error of the server's, or an answer that is not HubRise's.",
                        "ops",
                        one(rate(requests, "connection, result"), "{{connection}} {{result}}"),
                    ),
                    Panel(
                        "By kind",
                        "Looks, new deliveries, changes of them, and of the order's own status.",
                        "ops",
                        one(rate("milepost_hubrise_request_duration_seconds_count", "request"), "{{request}}"),
                    ),
                    Panel(
                        "Time to an answer",
                        "99 of 100 requests are answered within this time.",
                        "s",
                        one(quantile(0.99, "milepost_hubrise_request_duration_seconds", "request"), "{{request}}"),
                        empty="a kind that is not sent has no quantile",
                    ),
                ),
            ),
            Row(
                "Queues",
                (
                    in_queue(
                        queue,
                        "ready wait for the sink; unacked are in it. What waits for a limit, for HubRise or for a link is in the delay queues.",
                        Query(f"sum({queues('messages', links)})", "links"),
                    ),
                    consumers(queue, "Replicas that take from the queue; at 0 nothing is written."),
                    Panel(
                        "In work, and the oldest",
                        "Messages that the sink took and has not settled, and since when the oldest of them.",
                        "short",
                        (
                            Query(f"sum(milepost_inflight_messages{{{MINE}}})", "messages"),
                            Query(f"max(milepost_oldest_inflight_age_seconds{{{MINE}}})", "oldest (s)"),
                        ),
                        width=6,
                    ),
                    Panel(
                        "Waiting in the delay queues",
                        "Of all providers and the sink.",
                        "short",
                        one(f"sum({queues('messages', DELAY)})", "messages"),
                        width=6,
                    ),
                    Panel(
                        "Time in work",
                        "From taking a message to settling it, 99 of 100, by outcome.",
                        "s",
                        one(quantile(0.99, f"milepost_process_duration_seconds{{{MINE}}}", "outcome"), "{{outcome}}"),
                        width=12,
                    ),
                    Panel(
                        "Redis's answers",
                        "99 of 100 reads and swaps of what the sink keeps take less.",
                        "s",
                        one(
                            'histogram_quantile(0.99, sum by (le, op) (rate(milepost_redis_op_duration_seconds_bucket{op=~"cell_.+"}'
                            f"[{RATE}])))",
                            "{{op}}",
                        ),
                        width=12,
                    ),
                ),
            ),
            confirms("later|parked", OF_SINK),
            resources(ROLE),
            rollout(ROLE),
        ),
    )
