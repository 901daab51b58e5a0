"""The four promises, and the rules that say how fast their error budgets are spent.

Each promise is counted per provider, in events: what was bad, of what there was. A provider without events has no
ratio, rather than 0/0. Only five minutes are read from the fleet's own series. Longer windows add up those, recorded
every STEP seconds: three days of every process's series at each evaluation would cost Prometheus millions of samples.
"""

from dataclasses import dataclass

from .model import BY, NO_SINK, WHO, Alert, Group, Record, le

STEP = 30
SHORT = "5m"
# The windows of each group, and how often they are added up.
LONGER = {"hours": ("1m", ("30m", "1h", "2h", "6h")), "days": ("2m", ("1d", "3d"))}
# (severity, how many times faster than the budget allows, over the long window and still over the short one).
# 14.4 spends 2 % of a month's budget in an hour, 6 spends 5 % in six hours, 1 spends all of it in a month.
BURNS = (("page", 14.4, "1h", "5m"), ("page", 6, "6h", "30m"), ("ticket", 3, "1d", "2h"), ("ticket", 1, "3d", "6h"))
# A fleet that has just begun has no history to divide by: what receivers counted and workers did not, because they were
# scraped some seconds earlier, would be a large share of it.
LASTING = {"page": "2m", "ticket": "30m"}
# Fewer bad events than this in the long window page no one: one failed request of ten is no trend. The alerts on
# causes do not need traffic.
FEWEST_BAD = 10


@dataclass(frozen=True)
class Slo:
    """A promise. `bad` and `all` are events per second by provider, over WINDOW. Either may be below zero for a moment,
    where one counter is scraped before another; that evens out as they are added up."""

    name: str
    title: str
    promise: str
    objective: float
    bad: str
    all: str
    alert: str
    summary: str
    description: str
    runbook: str

    @property
    def budget(self):
        return round(1 - self.objective, 6)

    def over(self, events, window):
        return events.replace("WINDOW", window)

    def ratio(self, window):
        """The share of bad events; a provider whose bad events were never counted has none."""
        return share(f"({self.bad})\n  or 0 * ({self.all})", self.all).replace("WINDOW", window)


def share(bad, all):
    return f"clamp_min({bad}, 0)\n/ (({all}) > 0)"


# HubRise deletes what it gets a 4xx for, so it gets 503 where others get whose fault it was.
NOT_OUR_FAULT = "wrong_method|too_large|too_slow|broken_body|evicted|ambiguous_length|unsupported_encoding|unknown_account"
FAILED = f'milepost_http_requests_total{{code=~"5..",result!~"{NOT_OUR_FAULT}"}}'
# What ends without an update: it was taken, and needs no publishing.
NOTHING_TO_PUBLISH = 'milepost_messages_settled_total{outcome=~"duplicate|ignored|parked"}'
ACCEPTED = f'sum by ({BY}) (rate(milepost_http_requests_total{{result="accepted"}}[WINDOW]))'
# Counted from what was accepted, and not from what was published: while nothing is published that would be nothing
# of nothing. What waits counts as late from the start; it is good as soon as it is published within the minute.
TO_PUBLISH = f"""{ACCEPTED}
  - (sum by ({BY}) (rate({NOTHING_TO_PUBLISH}[WINDOW])) or 0 * {ACCEPTED})"""
IN_TIME = f"sum by ({BY}) (rate(milepost_end_to_end_seconds_bucket{{{le(60)}}}[WINDOW]))"

ANSWERED = f'sum by ({BY}) (rate(milepost_http_request_duration_seconds_count{{provider!="unknown"}}[WINDOW]))'

SLOS = (
    Slo(
        name="accepted",
        title="accepted",
        promise="99.9 % of webhooks get an answer other than a 5xx of our making",
        objective=0.999,
        bad=f"sum by ({BY}) (rate({FAILED}[WINDOW]))",
        all=f'sum by ({BY}) (rate(milepost_http_requests_total{{provider!="unknown"}}[WINDOW]))',
        alert="MilepostAccepting",
        summary=f"{WHO}: we turn webhooks away",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks get a 5xx. The provider sends them again, "
        "but not for ever: look at the loss clock.",
        runbook="receiver-refusing",
    ),
    Slo(
        name="quick",
        title="answered within 250 ms",
        promise="99 % of webhooks are answered within 250 ms",
        objective=0.99,
        bad=f"""{ANSWERED}
  - sum by ({BY}) (rate(milepost_http_request_duration_seconds_bucket{{provider!="unknown",le="0.25"}}[WINDOW]))""",
        all=ANSWERED,
        alert="MilepostAnswering",
        summary=f"{WHO}: our answers are slow",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks wait more than 250 ms for their answer. It waits for "
        "RabbitMQ's confirm: look at the confirms.",
        runbook="slow-answers",
    ),
    Slo(
        name="published",
        title="published within 60 s",
        promise="99 % of the updates are published within 60 s of their webhook's receipt",
        objective=0.99,
        bad=f"""{TO_PUBLISH}
  - ({IN_TIME} or 0 * {ACCEPTED})""",
        all=TO_PUBLISH,
        alert="MilepostPublishing",
        summary=f"{WHO}: updates come late, or not at all",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s updates were not published within a minute of their receipt. "
        "Nothing is lost; subscribers are behind.",
        runbook="backlog",
    ),
    Slo(
        name="unparked",
        title="not parked",
        promise="99.9 % of messages are not parked",
        objective=0.999,
        bad=f'sum by ({BY}) (rate(milepost_messages_settled_total{{{NO_SINK},outcome="parked"}}[WINDOW]))',
        all=f'sum by ({BY}) (rate(milepost_messages_settled_total{{{NO_SINK},outcome!~"deferred|retried"}}[WINDOW]))',
        alert="MilepostParking",
        summary=f"{WHO}: too many messages end up parked",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s messages are parked. They are kept whole, and can be replayed "
        "when the cause is fixed.",
        runbook="provider-format-change",
    ),
)


def ratio_name(window):
    return f"milepost:slo_bad:ratio_rate{window}"


def bad_name(window):
    return f"milepost:slo_bad:increase{window}"


BAD, ALL = f"milepost:slo_bad:rate{SHORT}", f"milepost:slo_all:rate{SHORT}"


def events(rate, window):
    """How many events there were: each step's rate holds for a step."""
    return f"{STEP} * sum_over_time({rate}[{window}])"


def short():
    """The budget of each promise; then what is spent of it in five minutes."""
    for slo in SLOS:
        yield Record("milepost:slo_budget:ratio", f"vector({slo.budget})", {"slo": slo.name})
    for slo in SLOS:
        yield Record(BAD, slo.over(f"({slo.bad})\nor 0 * ({slo.all})", SHORT), {"slo": slo.name})
        yield Record(ALL, slo.over(slo.all, SHORT), {"slo": slo.name})
    yield Record(ratio_name(SHORT), share(BAD, ALL))


def longer(windows):
    for window in windows:
        yield Record(bad_name(window), f"clamp_min({events(BAD, window)}, 0)")
        yield Record(ratio_name(window), f"{bad_name(window)}\n/ ({events(ALL, window)} > 0)")


def burning(slo, factor, long, short):
    select, limit = f'{{slo="{slo.name}"}}', f"{factor} * {slo.budget}"
    return (
        f"(\n  {ratio_name(long)}{select} > {limit}\n  and {ratio_name(short)}{select} > {limit}\n"
        f"  and {bad_name(long)}{select} >= {FEWEST_BAD}\n)"
    )


def alerts():
    """A page and a ticket for each promise."""
    for slo in SLOS:
        for severity in ("page", "ticket"):
            either = [burning(slo, *burn) for kind, *burn in BURNS if kind == severity]
            yield Alert(
                name=slo.alert + ("BudgetBurnsFast" if severity == "page" else "BudgetBurns"),
                severity=severity,
                measure="\nor\n".join(either),
                beyond="",
                summary=slo.summary,
                description=slo.description,
                runbook=slo.runbook,
                lasting=LASTING[severity],
                empty="its operands are recorded; it has data only while it fires",
            )


def groups():
    yield Group("milepost-slo", (*short(), *alerts()), f"{STEP}s")
    for name, (interval, windows) in LONGER.items():
        yield Group(f"milepost-slo-{name}", tuple(longer(windows)), interval)
