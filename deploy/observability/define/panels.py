"""What several boards share: how their queries are put together, and the rows that they have in common.

In a query, $__rate_interval, $provider and the like are Grafana's. What counts as good or bad is not said here again:
it comes from the promises (slo.py) and the causes (causes.py).
"""

from . import clock
from .causes import queues
from .model import BY, Panel, Query, Row
from .slo import ratio_name

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


REFUSED = f"on ({BY}) {clock.REFUSING_SINCE}"
LOSS_CLOCK = Panel(
    "Loss clock",
    "LOSES DATA IN: we refuse this provider's webhooks: time until the first of them is lost because the provider gives up sending it; below zero, "
    "it is lost. Others: for how long an outage may last; 0 means that the provider is not known to send again at all. "
    "Runbook: receiver-refusing.",
    "s",
    (
        Query(f"milepost:loss_clock:seconds and {REFUSED}", "{{provider}} LOSES DATA IN"),
        Query(f"milepost:loss_clock:seconds unless {REFUSED}", "{{provider}} tolerates"),
    ),
    kind="stat",
    width=6,
    height=6,
    decimals=0,
    steps=((0, RED), (1800, AMBER)),
    fixed={"tolerates": GREEN},
)


def slo_row(slos, only=""):
    """How fast each promise's budget is spent, against the rates that alert."""
    select = f',provider=~"{only}"' if only else ""
    return Row(
        "Promises and their budgets",
        tuple(
            Panel(
                f"Budget spent: {slo.title}",
                f"{slo.promise}. 1 spends the budget of a month in a month; 14.4 for an hour pages.",
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
                "Reconnections to RabbitMQ in an hour",
                "Each is a connection that was lost.",
                "short",
                one(
                    f'sum by (instance) (increase(milepost_broker_reconnects_total[1h]) and on (instance) milepost_build_info{{role=~"{role}|run"}})',
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


def resources(role):
    """What each process of a role uses of its machine."""
    of = f'and on (instance) milepost_build_info{{role=~"{role}|run"}}'
    process = "{{pod}} {{instance}}"
    return Row(
        "Resources",
        (
            Panel(
                "Memory",
                "Of each process, and the limit of its container, at which it is killed.",
                "bytes",
                (
                    Query(f"milepost_process_resident_memory_bytes {of}", process),
                    Query(f"max(milepost_process_memory_limit_bytes {of}) > 0", "limit"),
                ),
                empty="a process may have no limit",
            ),
            Panel(
                "CPU",
                "Processors in use by each process.",
                "short",
                one(f"rate(milepost_process_cpu_seconds[{RATE}]) {of}", process),
            ),
            Panel(
                "Open files",
                "Share of the files and connections that a process may have open.",
                "percentunit",
                one(f"(milepost_process_open_files / (milepost_process_open_files_limit > 0)) {of}", process),
                most=1,
            ),
        ),
    )


def in_queue(queue, description, *further):
    """The messages of a work queue; `further` are queries of others beside it."""
    return Panel(
        "Messages",
        description,
        "short",
        (
            Query(f"sum({queues('messages_ready', queue)})", "ready"),
            Query(f"sum({queues('messages_unacked', queue)})", "unacked"),
            *further,
        ),
        width=6,
    )


def consumers(queue, description):
    """How many take from a work queue: without any, nothing happens."""
    return Panel(
        "Consumers",
        description,
        "short",
        one(f"sum({queues('consumers', queue)})", "consumers"),
        kind="stat",
        steps=((0, RED), (1, GREEN)),
        width=6,
    )
