"""The four promises, and the rules that say how fast their error budgets are spent.

Each promise is counted per provider, in events: what was bad, of what there was. A provider without events has no
ratio, rather than 0/0.
"""

from dataclasses import dataclass

from .model import Alert, Record

WINDOWS = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400, "3d": 259200}
# (severity, how many times faster than the budget allows, over the long window and still over the short one).
# 14.4 spends 2 % of a month's budget in an hour, 6 spends 5 % in six hours, 1 spends all of it in a month.
BURNS = (("page", 14.4, "1h", "5m"), ("page", 6, "6h", "30m"), ("ticket", 3, "1d", "2h"), ("ticket", 1, "3d", "6h"))
# A fleet that has just begun has no history to divide by: what receivers counted and workers did not, because they were
# scraped some seconds earlier, would be a large share of it.
LASTING = {"page": "2m", "ticket": "30m"}
# Fewer bad events than this in the long window wake nobody: one failed request of ten is no trend. The alerts on
# causes do not need traffic.
FEWEST_BAD = 10


@dataclass(frozen=True)
class Slo:
    """A promise. `bad` and `all` are events per second by provider, over WINDOW."""

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

    def ratio(self, window):
        """The share of bad events; a provider whose bad events were never counted has none."""
        return f"(({self.bad})\n  or 0 * ({self.all}))\n/ (({self.all}) > 0)".replace("WINDOW", window)


# HubRise deletes what it gets a 4xx for, so it is told 503 where others are told whose fault it was.
NOT_OUR_FAULT = "wrong_method|too_large|too_slow|broken_body|evicted|ambiguous_length|unsupported_encoding|unknown_account"
FAILED = f'milepost_http_requests_total{{code=~"5..",result!~"{NOT_OUR_FAULT}"}}'
# What ends without an update: it was taken, and needs no publishing.
NOTHING_TO_PUBLISH = 'milepost_messages_settled_total{outcome=~"duplicate|ignored|parked"}'
ACCEPTED = 'sum by (provider) (rate(milepost_http_requests_total{result="accepted"}[WINDOW]))'
# Counted from what was accepted, and not from what was published: while nothing is published that would be nothing
# of nothing. What waits counts as late from the start; it is good as soon as it is published within the minute.
TO_PUBLISH = f"""clamp_min(
  {ACCEPTED}
  - (sum by (provider) (rate({NOTHING_TO_PUBLISH}[WINDOW])) or 0 * {ACCEPTED}), 0)"""
IN_TIME = 'sum by (provider) (rate(milepost_end_to_end_seconds_bucket{le="60"}[WINDOW]))'

SLOS = (
    Slo(
        name="accepted",
        title="accepted",
        promise="99.9 % of webhooks get an answer other than a 5xx of our making",
        objective=0.999,
        bad=f"sum by (provider) (rate({FAILED}[WINDOW]))",
        all='sum by (provider) (rate(milepost_http_requests_total{provider!="unknown"}[WINDOW]))',
        alert="MilepostAccepting",
        summary="{{ $labels.provider }}: we turn webhooks away",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks get a 5xx. The provider sends them again, "
        "but not for ever: look at the loss clock.",
        runbook="receiver-refusing",
    ),
    Slo(
        name="quick",
        title="answered within 250 ms",
        promise="99 % of webhooks are answered within 250 ms",
        objective=0.99,
        bad="""sum by (provider) (rate(milepost_http_request_duration_seconds_count{provider!="unknown"}[WINDOW]))
  - sum by (provider) (rate(milepost_http_request_duration_seconds_bucket{provider!="unknown",le="0.25"}[WINDOW]))""",
        all='sum by (provider) (rate(milepost_http_request_duration_seconds_count{provider!="unknown"}[WINDOW]))',
        alert="MilepostAnswering",
        summary="{{ $labels.provider }}: our answers are slow",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks wait more than 250 ms for their answer. It waits for "
        "RabbitMQ's confirm: look at the confirms.",
        runbook="broker-down",
    ),
    Slo(
        name="published",
        title="published within 60 s",
        promise="99 % of the updates are published within 60 s of their webhook's receipt",
        objective=0.99,
        bad=f"""clamp_min({TO_PUBLISH}
  - ({IN_TIME} or 0 * {ACCEPTED}), 0)""",
        all=TO_PUBLISH,
        alert="MilepostPublishing",
        summary="{{ $labels.provider }}: updates come late, or not at all",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s updates were not published within a minute of their receipt. "
        "Nothing is lost; subscribers are behind.",
        runbook="backlog",
    ),
    Slo(
        name="unparked",
        title="not parked",
        promise="99.9 % of messages are not parked for a person",
        objective=0.999,
        bad='sum by (provider) (rate(milepost_messages_settled_total{outcome="parked"}[WINDOW]))',
        all='sum by (provider) (rate(milepost_messages_settled_total{outcome!~"deferred|retried"}[WINDOW]))',
        alert="MilepostParking",
        summary="{{ $labels.provider }}: too many messages end up parked",
        description="{{ $value | humanizePercentage }} of {{ $labels.provider }}'s messages are parked. They are kept whole, and can be replayed "
        "when the cause is mended.",
        runbook="provider-format-change",
    ),
)


def ratio_name(window):
    return f"milepost:slo_bad:ratio_rate{window}"


def bad_name(window):
    return f"milepost:slo_bad:rate{window}"


def records():
    """The budget of each promise; then what is spent of it over each window."""
    rules = [Record("milepost:slo_budget:ratio", f"vector({slo.budget})", {"slo": slo.name}) for slo in SLOS]
    for slo in SLOS:
        for window in WINDOWS:
            rules.append(Record(bad_name(window), slo.bad.replace("WINDOW", window), {"slo": slo.name}))
            rules.append(Record(ratio_name(window), slo.ratio(window), {"slo": slo.name}))
    return rules


def burning(slo, factor, long, short):
    select, limit = f'{{slo="{slo.name}"}}', f"{factor} * {slo.budget}"
    return (
        f"(\n  {ratio_name(long)}{select} > {limit}\n  and {ratio_name(short)}{select} > {limit}\n"
        f"  and {bad_name(long)}{select} * {WINDOWS[long]} >= {FEWEST_BAD}\n)"
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
