"""The overview: what an SRE reads in ten seconds."""

from .causes import OTHERS, PARKED_NOW, READY, REFUSED_UPDATES, UNACKED, queues
from .model import BROKER, BY, NO_SINK, Board, Panel, Query, Row
from .panels import AMBER, GREEN, LOSS_CLOCK, RATE, RED, SETTLED, one, quantile, rate
from .slo import ACCEPTED, SLOS


DELAY = 'queue=~"milepost\\\\.delay\\\\..+"'


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
    ended = rate(f'{SETTLED}{{outcome=~"published|duplicate|ignored"}}', BY)
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
                        "Parked",
                        "Messages that no retry can help, or that ran out of retries. They are kept whole until an operator replays them.",
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
                        "Milepost's alerts that fire now; each alert itself has the link to its runbook section.",
                        "short",
                        one(
                            'count by (severity, alertname, provider) (ALERTS{alertname=~"Milepost.+",alertname!="MilepostWatchdog",alertstate="firing"})',
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
                            Query(f'max({{__name__=~"rabbitmq_alarms_.+",{BROKER}}}) == bool 0', "RabbitMQ: no alarm"),
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
                            Query(f"sum by (outcome) (rate({SETTLED}{{{NO_SINK}}}[{RATE}]))", "{{outcome}}"),
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
                                f"sum({queues('messages', DELAY)})", "retries"
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
                        width=14,
                        height=4,
                        decimals=0,
                        steps=((0, RED), (0.0001, AMBER), (0.5, GREEN)),
                    ),
                    Panel(
                        "Subscribers that refuse",
                        "While a subscriber's full queue refuses updates: how many updates each provider had refused in ten minutes, and what the "
                        "longest of the subscribers' queues hold. RabbitMQ does not say which of them refused; `milepost topology check` does.",
                        "short",
                        (
                            Query(f"sum by (provider) (increase({REFUSED_UPDATES}[10m])) > 0", "{{provider}} refused"),
                            Query(
                                f"topk(3, max by (queue) ({queues('messages', OTHERS)}) > 0) "
                                f"and on () (sum(increase({REFUSED_UPDATES}[10m])) > 0)",
                                "{{queue}}",
                            ),
                        ),
                        kind="stat",
                        width=10,
                        height=4,
                        decimals=0,
                        steps=((0, AMBER),),
                        empty="no subscriber refuses",
                    ),
                ),
            ),
        ),
    )
