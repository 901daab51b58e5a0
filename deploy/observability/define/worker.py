"""A worker's board: one provider's queue, and what becomes of it."""

from .causes import queues
from .model import Board, Panel, Query, Row
from .overview import DELAY
from .panels import (
    OF_WORKER,
    RATE,
    SETTLED,
    buckets,
    confirms,
    consumers,
    in_queue,
    one,
    percentiles,
    quantile,
    rate,
    resources,
    rollout,
    slo_row,
)
from .slo import SLOS


def worker():
    mine = 'provider=~"$provider"'
    end_to_end, delay = f"milepost_end_to_end_seconds{{{mine}}}", f"milepost_retry_delay_seconds{{{mine}}}"
    queue, parked = 'queue="milepost.webhooks.$provider"', 'queue="milepost.parked.$provider"'
    return Board(
        "milepost-worker",
        "Milepost / worker of a provider",
        "One provider's queue, what its worker makes of it, and how far it is behind.",
        (
            slo_row(SLOS[2:], "$provider"),
            Row(
                "Queue",
                (
                    in_queue(queue, "ready wait for a worker; unacked are in one."),
                    consumers(queue, "Workers that take from the queue; at 0 nothing is published."),
                    Panel(
                        "In work",
                        "Messages that its workers took and have not settled, and how many they may take (worker.prefetch of each).",
                        "short",
                        (
                            Query(f"sum(milepost_inflight_messages{{{mine}}})", "messages"),
                            Query(f"sum(milepost_inflight_limit{{{mine}}})", "limit"),
                        ),
                        width=6,
                    ),
                    Panel(
                        "Oldest in work",
                        "Since the oldest of them was taken. After ten minutes of an outage all are given back.",
                        "s",
                        one(f"max(milepost_oldest_inflight_age_seconds{{{mine}}})", "oldest"),
                        width=6,
                    ),
                ),
            ),
            Row(
                "Work",
                (
                    Panel(
                        "What became of messages",
                        "deferred and retried come again; all others are the end.",
                        "ops",
                        one(rate(f"{SETTLED}{{{mine}}}", "outcome"), "{{outcome}}"),
                    ),
                    Panel(
                        "Time in work",
                        "From taking a message to settling it, 99 of 100, by outcome. An outage counts.",
                        "s",
                        one(quantile(0.99, f"milepost_process_duration_seconds{{{mine}}}", "outcome"), "{{outcome}}"),
                    ),
                    Panel(
                        "Oddities",
                        "Published all the same: statuses its document lacks, fields that could not be read, updates out of order.",
                        "ops",
                        (
                            Query(f"sum(rate(milepost_unknown_status_total{{{mine}}}[{RATE}]))", "unknown status"),
                            Query(
                                f"sum(rate(milepost_unreadable_fields_total{{{mine}}}[{RATE}]))", "unreadable field"
                            ),
                            Query(rate(f"milepost_updates_out_of_order_total{{{mine}}}", "order"), "{{order}}"),
                            Query(
                                f"sum(rate(milepost_future_event_times_total{{{mine}}}[{RATE}]))", "time in the future"
                            ),
                        ),
                    ),
                    Panel(
                        "From receipt to published",
                        "Each update by how long it took.",
                        "s",
                        buckets(end_to_end),
                        kind="heatmap",
                        width=12,
                    ),
                    Panel(
                        "From receipt to published, percentiles",
                        "The promise is 60 s for 99 of 100.",
                        "s",
                        percentiles(end_to_end),
                        width=12,
                    ),
                ),
            ),
            Row(
                "Retries and parking",
                (
                    Panel(
                        "Retries",
                        "By reason: publish_refused is a subscriber's full queue that rejects.",
                        "ops",
                        one(rate(f"milepost_retries_total{{{mine}}}", "reason"), "{{reason}}"),
                    ),
                    Panel(
                        "Waits before a retry",
                        "The longest is 2100 s; after it the message is parked.",
                        "s",
                        buckets(delay),
                        kind="heatmap",
                    ),
                    Panel(
                        "Waiting for a retry",
                        "All providers' messages in the delay queues.",
                        "short",
                        one(f"sum({queues('messages', DELAY)})", "messages"),
                    ),
                    Panel(
                        "Parked in an hour, by reason",
                        "malformed, missing_field and contradiction together: the provider changed its format.",
                        "short",
                        one(f"sum by (reason) (increase(milepost_parked_total{{{mine}}}[1h]))", "{{reason}}"),
                        width=12,
                    ),
                    Panel(
                        "Parked now",
                        "Messages that need an operator.",
                        "short",
                        one(f"sum({queues('messages', parked)})", "messages"),
                        width=12,
                    ),
                    Panel(
                        "Parked in an hour, by account",
                        "The ten accounts with most: one that sends garbage is one line far above the others.",
                        "short",
                        one(
                            f"topk(10, sum by (account) (increase(milepost_account_parked_total{{{mine}}}[1h])))",
                            "{{account}}",
                        ),
                        width=12,
                    ),
                    Panel(
                        "How full the parked queue is",
                        "Of topology.parked_max_bytes, a message counting as 1 KiB at least; and what it refused. At 100 % what has to be parked waits.",
                        "percentunit",
                        (
                            Query(f"sum({queues('messages_bytes', parked)}) / max(milepost_parked_limit_bytes{{{mine}}})", "bytes"),
                            Query(f"1024 * sum({queues('messages', parked)}) / max(milepost_parked_limit_bytes{{{mine}}})", "messages"),
                            Query(f"sum(rate(milepost_parks_refused_total{{{mine}}}[{RATE}]))", "refused a second"),
                        ),
                        width=12,
                    ),
                ),
            ),
            Row(
                "Open deliveries",
                (
                    Panel(
                        "Open deliveries",
                        "Deliveries that are not closed, by phase.",
                        "short",
                        one(f"max by (phase) (milepost_open_deliveries{{{mine}}})", "{{phase}}"),
                        width=12,
                    ),
                    Panel(
                        "Silent deliveries",
                        "Of these, those that have had no update for longer than the provider usually takes in that phase. Runbook: deliveries-silent.",
                        "short",
                        one(f"max by (phase) (milepost_silent_deliveries{{{mine}}})", "{{phase}}"),
                        width=12,
                    ),
                    Panel(
                        "Asked of the provider",
                        "The reconciler's requests, by result; pulled are the webhooks made of answers. Runbook: pull-fails.",
                        "ops",
                        (
                            *one(rate(f"milepost_pull_requests_total{{{mine}}}", "result"), "{{result}}"),
                            Query(f"sum(rate(milepost_pulled_webhooks_total{{{mine}}}[{RATE}]))", "pulled"),
                        ),
                        width=12,
                        empty="a fleet may have no reconciler, and some providers cannot be asked",
                    ),
                    Panel(
                        "To be asked for",
                        "Deliveries that the reconciler is to ask for now.",
                        "short",
                        one(f"sum by (account) (milepost_pull_pending{{{mine}}})", "{{account}}"),
                        width=12,
                        empty="a fleet may have no reconciler, and some providers cannot be asked",
                    ),
                ),
            ),
            Row(
                "Deduplication and Redis",
                (
                    Panel(
                        "Claims",
                        "granted: new; done: a duplicate; busy: another copy is in work; stale: an old copy; id_reused: the same id with other content.",
                        "ops",
                        one(rate(f"milepost_dedup_claims_total{{{mine}}}", "result"), "{{result}}"),
                        width=12,
                    ),
                    Panel(
                        "Redis's answers",
                        "99 of 100 round trips take less.",
                        "s",
                        one(
                            f"histogram_quantile(0.99, sum by (le, op) (rate(milepost_redis_op_duration_seconds_bucket[{RATE}]) {OF_WORKER}))",
                            "{{op}}",
                        ),
                        width=12,
                        empty="an operation that is not asked for has no quantile",
                    ),
                    Panel(
                        "Redis's memory",
                        "What Redis says that it uses, and its maxmemory, if it has one. Full, it refuses, and workers pause.",
                        "bytes",
                        (
                            Query("max(milepost_redis_memory_used_bytes)", "used"),
                            Query("max(milepost_redis_memory_limit_bytes) > 0", "maxmemory"),
                        ),
                        width=12,
                        empty="Redis may have no maxmemory",
                    ),
                    Panel(
                        "Redis's refusals",
                        "Commands that Redis answered with an error, by its word: NOREPLICAS is fewer replicas than min-replicas-to-write, OOM full, "
                        "READONLY a replica, CLUSTERDOWN a shard without a primary.",
                        "ops",
                        one(rate("milepost_redis_refusals_total", "code"), "{{code}}"),
                        width=12,
                    ),
                    Panel(
                        "Waiting for what is away",
                        "Messages that wait in the worker until Redis or RabbitMQ is back; meanwhile it takes no others.",
                        "short",
                        one(f"sum by (reason) (milepost_paused{{{mine}}})", "{{reason}}"),
                        width=12,
                    ),
                ),
            ),
            confirms("update|later|parked", OF_WORKER),
            resources("worker-$provider"),
            rollout("worker-$provider"),
        ),
        provider=True,
    )
