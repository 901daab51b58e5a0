"""The words that boards and rules are written in."""

from dataclasses import dataclass, field

# What tells fleets in one Prometheus apart (Kubernetes's service discovery says it of every target; elsewhere there is
# none, and one fleet); a provider in a fleet; and a process. None of the rules adds up what these tell apart.
FLEET = "namespace"
BY = f"{FLEET}, provider"
PROCESS = f"{FLEET}, pod, instance"
# The same for people, in an alert's texts.
WHO = "{{ with $labels.namespace }}{{ . }}: {{ end }}{{ $labels.provider }}"
WHERE = "{{ with $labels.namespace }}{{ . }}/{{ end }}{{ or $labels.pod $labels.instance }}"
# Sinks have names among the providers' in metrics: sink-hubrise, links-hubrise. What is promised of webhooks is not of them.
NO_SINK = 'provider!~"(sink|links)-.+"'
# The jobs that scrape Milepost's RabbitMQ: other teams' brokers in the same Prometheus are none of ours.
BROKER = 'job="milepost-rabbitmq"'
QUEUES = 'job="milepost-rabbitmq-queues"'


def le(bound):
    """The matcher of a histogram's bucket whose bound is a whole number: Prometheus 3 writes 60 as 60.0."""
    return f'le=~"{bound}([.]0)?"'


@dataclass(frozen=True)
class Query:
    """PromQL, and the name of each series it gives, in which {{label}} is replaced by that label's value."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture on a board. `empty` says why it may have no data in a healthy, busy fleet; "" means it may not."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    # Where the colour changes, from the best to the worst: (value, colour); the first value is ignored.
    steps: tuple[tuple[float, str], ...] = ()
    # What a value is called: {0: ("down", "red")}
    words: dict[int, tuple[str, str]] = field(default_factory=dict)
    # The colour of the series whose names fit a regular expression, for any value.
    fixed: dict[str, str] = field(default_factory=dict)
    width: int = 8
    height: int = 7
    decimals: int | None = None
    most: float | None = None
    empty: str = ""


@dataclass(frozen=True)
class Row:
    """Panels under one heading; on a board with one row it is not shown."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard. `provider` tells whether one is chosen on it."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    provider: bool = False

    def panels(self):
        return [panel for row in self.rows for panel in row.panels]


@dataclass(frozen=True)
class Record:
    """A recording rule."""

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)
    empty: str = ""


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, every `interval`; "" is Prometheus's own interval."""

    name: str
    rules: tuple
    interval: str = ""


@dataclass(frozen=True)
class Alert:
    """An alerting rule: `measure`, when it is `beyond`, while all of `guards` give something, and not `unless`.

    They are apart so that ../prove can see that each has data while nothing is wrong. `empty` says why the measure
    itself may have none then.
    """

    name: str
    severity: str
    measure: str
    beyond: str
    summary: str
    description: str
    runbook: str
    guards: tuple[str, ...] = ()
    unless: str = ""
    lasting: str = "0s"
    empty: str = ""

    @property
    def expr(self):
        condition = f"({self.measure}) {self.beyond}".strip()
        return "\nand\n".join([condition, *self.guards]) + (f"\nunless {self.unless}" if self.unless else "")
