"""Alerts on the second store, where webhooks of providers that do not send again wait while RabbitMQ is away."""

from .model import BY, WHO, Alert

# Every receiver sees the same spool; one that cannot see it shows what it saw last.
OLDEST = f"max by ({BY}) (milepost_spool_oldest_age_seconds)"
SPOOLS = f'on ({BY}) (max by ({BY}) (milepost_spool_limit{{of="bytes"}}) > 0)'
FILLED = f"max by ({BY}) (milepost_spool_used / (milepost_spool_limit > 0))"
DURABLE = f"min by ({BY}) (milepost_spool_durable)"
REFUSED = 'milepost_spool_appends_total{result!="stored"}'


def causes():
    """Every alert on the spool, the most urgent first."""
    yield Alert(
        "MilepostSpoolRefuses",
        "page",
        f"sum by ({BY}) (increase({REFUSED}[5m]))",
        "> 0",
        f"{WHO}: webhooks get 503, and its spool does not take them",
        "About {{ $value | humanize }} in five minutes: the spool is full, Redis is away, or nothing proves that it is durable. "
        "What {{ $labels.provider }} does not send again is lost.",
        "spool-refuses",
    )
    yield Alert(
        "MilepostSpoolNearlyFull",
        "page",
        FILLED,
        "> 0.7",
        f"{WHO}: its spool is nearly full",
        "{{ $value | humanizePercentage }} of spool.max_entries or spool.max_bytes. Full, webhooks get 503 until RabbitMQ is back.",
        "spool-nearly-full",
        lasting="30s",
        empty="no provider's webhooks are spooled",
    )
    yield Alert(
        "MilepostSpoolNotDrained",
        "ticket",
        OLDEST,
        "> 600",
        f"{WHO}: webhooks wait in the spool",
        "The oldest for {{ $value | humanizeDuration }}. They are safe in Redis; they are published once RabbitMQ takes messages.",
        "spool-not-drained",
        lasting="1m",
    )
    yield Alert(
        "MilepostSpoolNotDurable",
        "ticket",
        DURABLE,
        "== 0",
        f"{WHO}: its webhooks could not be spooled now",
        "A receiver cannot reach Redis, or Redis does not prove that what it takes is durable. In an outage of RabbitMQ "
        "{{ $labels.provider }}'s webhooks get 503, and it may not send them again.",
        "spool-not-durable",
        guards=(SPOOLS,),
        lasting="5m",
    )
