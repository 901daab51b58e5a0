"""The dashboards: a tenth of a minute for the overview, then the role that it points to.

In a query, $__rate_interval, $provider and the like are Grafana's. What counts as good or bad is not said here again:
it comes from the promises (slo.py) and the causes (causes.py).
"""

from .causes import CONSUMERS, PARKED_NOW, READY, UNACKED
from .model import Board, Panel, Query, Row
from .slo import ACCEPTED, NOT_OUR_FAULT, SLOS, ratio_name

RATE = "$__rate_interval"
GREEN, AMBER, RED = "green", "orange", "red"
SETTLED = "milepost_messages_settled_total"
# Of one provider's workers: what counts per process has no provider of its own.
OF_WORKER = '* on (instance) group_left () (milepost_build_info{role=~"worker-$provider|run"})'


def rate(series, by, over=RATE):
    return f"sum by ({by}) (rate({series}[{over}]))"


def quantile(q, histogram, by=""):
    """A quantile of a histogram; `histogram` is its name and its labels in braces."""
    name, _, labels = histogram.partition("{")
    labels = "{" + labels if labels else ""
    return f"histogram_quantile({q}, sum by (le{', ' + by if by else ''}) (rate({name}_bucket{labels}[{RATE}])))"


def buckets(histogram):
    name, _, labels = histogram.partition("{")
    return (Query(f"sum by (le) (rate({name}_bucket{'{' + labels if labels else ''}[{RATE}]))", "{{le}}"),)


def percentiles(histogram):
    return tuple(Query(quantile(q, histogram), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99))


def one(expr, legend):
    return (Query(expr, legend),)


REFUSED = "on (provider) milepost:refusing_since:timestamp_seconds"
LOSS_CLOCK = Panel(
    "Loss clock",
    "LOST IN: we refuse this provider's webhooks, and so long it takes until the first of them is gone for good, because the provider gives "
    "up sending it; below zero, it is. Others: for how long an outage may last; 0 means that the provider is not known to send again at all. "
    "Runbook: receiver-refusing.",
    "s",
    (
        Query(f"milepost:loss_clock:seconds and {REFUSED}", "{{provider}} LOST IN"),
        Query(f"milepost:loss_clock:seconds unless {REFUSED}", "{{provider}} may wait"),
    ),
    kind="stat",
    width=6,
    height=6,
    decimals=0,
    steps=((0, RED), (1800, AMBER)),
    fixed={"may wait": GREEN},
)


def accepting():
    slo = SLOS[0]
    return Panel(
        "Are we accepting?",
        "The share of each provider's webhooks that we take, or refuse for a fault of theirs. Below 100 % we turn away what we should take; "
        "the provider sends it again until the loss clock runs out. Nothing shown: nothing came.",
        "percentunit",
        one(f"1 - {slo.ratio(RATE)}", "{{provider}}"),
        kind="stat",
        width=6,
        height=6,
        decimals=1,
        steps=((0, RED), (0.99, AMBER), (0.999, GREEN)),
        most=1,
    )


def overview():
    accepted = ACCEPTED.replace("WINDOW", RATE)
    ended = rate(f'{SETTLED}{{outcome=~"published|duplicate|ignored"}}', "provider")
    return Board(
        "milepost-overview",
        "Milepost / overview",
        "The top row answers: are we accepting, are we publishing, what is parked, what will be lost if this goes on. The second says why.",
        (
            Row(
                "Overview",
                (
                    accepting(),
                    Panel(
                        "Are we publishing?",
                        "What ended well (published, duplicate, nothing to publish) of what came in. Below 100 % messages wait, or are parked; they are "
                        "not lost. After an outage it is 100 % while the backlog is worked off.",
                        "percentunit",
                        one(f"clamp_max(({ended} or 0 * {accepted}) / ({accepted} > 0), 1)", "{{provider}}"),
                        kind="stat",
                        width=6,
                        height=6,
                        decimals=0,
                        steps=((0, RED), (0.5, AMBER), (0.95, GREEN)),
                        most=1,
                    ),
                    LOSS_CLOCK,
                    Panel(
                        "Parked for a person",
                        "Messages that no retry can mend, or that ran out of retries. They are kept whole until somebody replays them.",
                        "short",
                        one(PARKED_NOW, "{{provider}}"),
                        kind="stat",
                        width=6,
                        height=6,
                        decimals=0,
                        steps=((0, GREEN), (1, AMBER), (100, RED)),
                    ),
                    Panel(
                        "What fires",
                        "Milepost's alerts that fire now; their runbook links are on the alerts themselves.",
                        "short",
                        one(
                            'count by (severity, alertname, provider) (ALERTS{alertname=~"Milepost.+",alertstate="firing"})',
                            "{{severity}} {{alertname}} {{provider}}",
                        ),
                        kind="table",
                        width=10,
                        height=7,
                        empty="nothing fires",
                    ),
                    Panel(
                        "What we depend on",
                        "RabbitMQ for receivers and workers (publish), for workers (consume, which also stops while Redis is away), RabbitMQ's alarms, "
                        "and whether messages wait for Redis.",
                        "short",
                        (
                            Query('min(milepost_broker_connected{role="publish"})', "RabbitMQ: publish"),
                            Query('min(milepost_broker_connected{role="consume"} > bool 0)', "RabbitMQ: consume"),
                            Query('max({__name__=~"rabbitmq_alarms_.+"}) == bool 0', "RabbitMQ: no alarm"),
                            Query('sum(milepost_paused{reason="redis"}) == bool 0', "Redis"),
                        ),
                        kind="stat",
                        width=7,
                        height=7,
                        steps=((0, RED), (1, GREEN)),
                        words={0: ("DOWN", RED), 1: ("ok", GREEN)},
                    ),
                    Panel(
                        "What runs",
                        "Processes by role, as far as Prometheus reaches them.",
                        "short",
                        one("count by (role) (milepost_build_info)", "{{role}}"),
                        kind="stat",
                        width=7,
                        height=7,
                        decimals=0,
                    ),
                    Panel(
                        "Webhooks in, updates out",
                        "All providers. The lines lie on each other when all is well; duplicates are published once.",
                        "ops",
                        (
                            Query(
                                f'sum(rate(milepost_http_requests_total{{result="accepted"}}[{RATE}]))', "accepted"
                            ),
                            Query(
                                f'sum(rate(milepost_http_requests_total{{result!="accepted"}}[{RATE}]))', "refused"
                            ),
                            Query(f"sum by (outcome) (rate({SETTLED}[{RATE}]))", "{{outcome}}"),
                        ),
                        width=9,
                    ),
                    Panel(
                        "Refused, by reason",
                        "broker_unavailable, unconfirmed, broker_refused, saturated and no_secret are ours; wrong_credential may be a secret that was rotated.",
                        "ops",
                        one(rate("milepost_webhooks_rejected_total", "reason") + " > 0", "{{reason}}"),
                        width=5,
                        empty="nothing is refused",
                    ),
                    Panel(
                        "How far behind",
                        "Messages that wait for a worker, by provider, and those that wait for their retry. Nothing here while RabbitMQ is down.",
                        "short",
                        (
                            Query(f"{READY} + {UNACKED}", "{{provider}}"),
                            Query(
                                'sum(rabbitmq_detailed_queue_messages{queue=~"milepost\\\\.delay\\\\..+"})', "retries"
                            ),
                        ),
                        width=5,
                    ),
                    Panel(
                        "From receipt to published",
                        "99 of 100 updates are published within this time of their webhook's receipt.",
                        "s",
                        one(quantile(0.99, "milepost_end_to_end_seconds", "provider"), "{{provider}}"),
                        width=5,
                    ),
                    Panel(
                        "Error budget left of three days",
                        "What the promises may still fail by, the worst provider first: 100 % is untouched, at 0 % the promise is broken. "
                        + "; ".join(slo.promise for slo in SLOS)
                        + ".",
                        "percentunit",
                        one(
                            "clamp_min(1 - max by (slo) (milepost:slo_bad:ratio_rate3d) / on (slo) milepost:slo_budget:ratio, -1)",
                            "{{slo}}",
                        ),
                        kind="stat",
                        width=24,
                        height=4,
                        decimals=0,
                        steps=((0, RED), (0.0001, AMBER), (0.5, GREEN)),
                    ),
                ),
            ),
        ),
    )


def slo_row(slos, only=""):
    """How fast each promise's budget is spent, against the rates that alert."""
    select = f',provider=~"{only}"' if only else ""
    return Row(
        "Promises and their budgets",
        tuple(
            Panel(
                f"Budget spent: {slo.title}",
                f"{slo.promise}. 1 spends the budget of a month in a month; at 14.4 for an hour somebody is woken.",
                "none",
                tuple(
                    Query(
                        f'{ratio_name(window)}{{slo="{slo.name}"{select}}} / on (slo) group_left () milepost:slo_budget:ratio',
                        f"{{{{provider}}}} {window}",
                    )
                    for window in ("5m", "1h", "6h", "3d")
                ),
                width=12,
            )
            for slo in slos
        ),
    )


def confirms(stages, of=""):
    return Row(
        "Confirms",
        (
            Panel(
                "Broker's answers",
                "Publishes by the broker's answer: ack is stored; refused is a full queue; unavailable and unconfirmed are RabbitMQ's trouble.",
                "ops",
                one(
                    f'sum by (stage, result) (rate(milepost_publish_confirms_total{{stage=~"{stages}"}}[{RATE}]) {of})',
                    "{{stage}} {{result}}",
                ),
                width=12,
            ),
            Panel(
                "Time to a confirm",
                "99 of 100 publishes are confirmed within this time. The receiver's answer waits for it.",
                "s",
                one(
                    f'histogram_quantile(0.99, sum by (le, stage) (rate(milepost_publish_confirm_duration_seconds_bucket{{stage=~"{stages}"}}[{RATE}]) {of}))',
                    "{{stage}}",
                ),
                width=12,
                empty="" if stages == "raw" else "a stage without publishes has no quantile",
            ),
        ),
    )


def rollout(role):
    return Row(
        "Rollout",
        (
            Panel(
                "Versions",
                "Processes by version: two at once only during a rollout.",
                "short",
                one(f'count by (version, role) (milepost_build_info{{role=~"{role}|run"}})', "{{role}} {{version}}"),
            ),
            Panel(
                "Draining",
                "Processes that are going away.",
                "short",
                one(
                    f'sum by (role) (milepost_draining * on (instance) group_left (role) milepost_build_info{{role=~"{role}|run"}})',
                    "{{role}}",
                ),
            ),
            Panel(
                "Age of the configuration",
                "Since each process read its configuration and secrets.",
                "s",
                one(
                    "time() - milepost_config_last_reload_timestamp_seconds "
                    f'and on (instance) milepost_build_info{{role=~"{role}|run"}}',
                    "{{instance}}",
                ),
            ),
            Panel(
                "Connections to RabbitMQ made again",
                "Each is a connection that was lost.",
                "short",
                one(
                    f'sum by (instance) (increase(milepost_broker_reconnects_total[{RATE}]) and on (instance) milepost_build_info{{role=~"{role}|run"}})',
                    "{{instance}}",
                ),
                width=12,
            ),
            Panel(
                "Traces",
                "Sampled spans by what became of them; none while traces are off.",
                "ops",
                one(f"sum by (result) (rate(milepost_trace_spans_total[{RATE}]))", "{{result}}"),
                width=12,
            ),
        ),
    )


def receiver():
    mine = 'provider=~"$provider"'
    duration = f"milepost_http_request_duration_seconds{{{mine}}}"
    return Board(
        "milepost-receiver",
        "Milepost / receiver",
        "What providers see of us, and what stands behind the answers.",
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
                "Loss clock",
                (
                    LOSS_CLOCK,
                    Panel(
                        "Refusing for",
                        "How long we have been refusing each provider; nothing while we take its webhooks.",
                        "s",
                        one(f"time() - milepost:refusing_since:timestamp_seconds{{{mine}}}", "{{provider}}"),
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
            confirms("raw"),
            rollout("receiver"),
        ),
        provider=True,
    )


def worker():
    mine = 'provider=~"$provider"'
    end_to_end, delay = f"milepost_end_to_end_seconds{{{mine}}}", f"milepost_retry_delay_seconds{{{mine}}}"
    queue = 'queue="milepost.webhooks.$provider"'
    return Board(
        "milepost-worker",
        "Milepost / worker of a provider",
        "One provider's queue, what its worker makes of it, and how far it is behind.",
        (
            slo_row(SLOS[2:], "$provider"),
            Row(
                "Queue",
                (
                    Panel(
                        "Messages",
                        "ready wait for a worker; unacked are in one.",
                        "short",
                        (
                            Query(f"sum(rabbitmq_detailed_queue_messages_ready{{{queue}}})", "ready"),
                            Query(f"sum(rabbitmq_detailed_queue_messages_unacked{{{queue}}})", "unacked"),
                        ),
                        width=6,
                    ),
                    Panel(
                        "Consumers",
                        "Workers that take from the queue; at 0 nothing is published.",
                        "short",
                        one(f"sum(rabbitmq_detailed_queue_consumers{{{queue}}})", "consumers"),
                        kind="stat",
                        steps=((0, RED), (1, GREEN)),
                        width=6,
                    ),
                    Panel(
                        "In work",
                        "Messages that its workers took and have not settled.",
                        "short",
                        one(f"sum(milepost_inflight_messages{{{mine}}})", "messages"),
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
                        one('sum(rabbitmq_detailed_queue_messages{queue=~"milepost\\\\.delay\\\\..+"})', "messages"),
                    ),
                    Panel(
                        "Parked, by reason",
                        "malformed, missing_field and contradiction together: the provider changed its format.",
                        "short",
                        one(f"sum by (reason) (increase(milepost_parked_total{{{mine}}}[{RATE}]))", "{{reason}}"),
                        width=12,
                    ),
                    Panel(
                        "Parked now",
                        "Messages that wait for a person.",
                        "short",
                        one('sum(rabbitmq_detailed_queue_messages{queue="milepost.parked.$provider"})', "messages"),
                        width=12,
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
                    ),
                    Panel(
                        "Redis's answers",
                        "99 of 100 round trips take less.",
                        "s",
                        one(
                            f"histogram_quantile(0.99, sum by (le, op) (rate(milepost_redis_op_duration_seconds_bucket[{RATE}]) {OF_WORKER}))",
                            "{{op}}",
                        ),
                        empty="an operation that is not asked for has no quantile",
                    ),
                    Panel(
                        "Waiting for what is away",
                        "Messages that wait in the worker until Redis or RabbitMQ is back; meanwhile it takes no others.",
                        "short",
                        one(f"sum by (reason) (milepost_paused{{{mine}}})", "{{reason}}"),
                    ),
                ),
            ),
            confirms("update|later|parked", OF_WORKER),
            rollout("worker-$provider"),
        ),
        provider=True,
    )


def broker():
    ours = 'queue=~"milepost\\\\..+"'
    return Board(
        "milepost-rabbitmq",
        "Milepost / RabbitMQ",
        "The queues that Milepost owns, and how close the broker is to its limits.",
        (
            Row(
                "Queues",
                tuple(
                    Panel(
                        title,
                        about,
                        "short",
                        one(f"sum by (queue) (rabbitmq_detailed_queue_{name}{{{ours}}})", "{{queue}}"),
                    )
                    for title, about, name in (
                        (
                            "Ready",
                            "Messages that wait, in each queue; delay queues hold those that wait for a retry.",
                            "messages_ready",
                        ),
                        ("Unacked", "Messages that a consumer holds.", "messages_unacked"),
                        ("Consumers", "Who takes from each queue. Parked and delay queues have none.", "consumers"),
                    )
                )
                + (
                    Panel(
                        "Unrouted",
                        "Should be impossible: a queue or a binding is missing.",
                        "short",
                        one('sum(rabbitmq_detailed_queue_messages{queue="milepost.unrouted"})', "messages"),
                        kind="stat",
                        steps=((0, GREEN), (1, RED)),
                    ),
                    Panel(
                        "Dead-lettered",
                        "Messages that a delay level passed on, or that a queue gave up after too many deliveries.",
                        "ops",
                        tuple(
                            Query(f"sum(rate(rabbitmq_global_messages_dead_lettered_{why}_total[{RATE}]))", why)
                            for why in ("expired", "delivery_limit")
                        ),
                    ),
                    Panel(
                        "Connected",
                        "Milepost's connections by process and what they are for.",
                        "short",
                        one("max by (instance, role) (milepost_broker_connected)", "{{instance}} {{role}}"),
                    ),
                ),
            ),
            Row(
                "Saturation",
                (
                    Panel(
                        "Memory",
                        "Share of the limit at which RabbitMQ blocks publishers.",
                        "percentunit",
                        one(
                            "rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "Disk",
                        "How many times the least free space that RabbitMQ insists on is free; at 1 it blocks publishers.",
                        "none",
                        one(
                            "rabbitmq_disk_space_available_bytes / rabbitmq_disk_space_available_limit_bytes",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "File descriptors",
                        "Share of the most it may open.",
                        "percentunit",
                        one("rabbitmq_process_open_fds / rabbitmq_process_max_fds", "{{instance}}"),
                    ),
                ),
            ),
        ),
    )


BOARDS = (overview(), receiver(), worker(), broker())
