"""Alerts on causes, and the loss clock. These need no traffic to fire, but for those that say what they need."""

from .model import Alert, Record

REFUSING = "milepost_refusing_since_timestamp_seconds"
GIVES_UP = "milepost_provider_gives_up_after_seconds"
WORK = 'queue=~"milepost\\\\.webhooks\\\\..+"'
PARKED = 'queue=~"milepost\\\\.parked\\\\..+"'
FORMAT = "malformed|missing_field|contradiction"


def by_provider(series):
    """A queue's series, with the provider that the queue's name ends in as a label."""
    return f'sum by (provider) (label_replace({series}, "provider", "$1", "queue", "milepost\\\\.(?:webhooks|parked)\\\\.(.+)"))'


READY = by_provider(f"rabbitmq_detailed_queue_messages_ready{{{WORK}}}")
UNACKED = by_provider(f"rabbitmq_detailed_queue_messages_unacked{{{WORK}}}")
CONSUMERS = by_provider(f"rabbitmq_detailed_queue_consumers{{{WORK}}}")
PARKED_NOW = by_provider(f"rabbitmq_detailed_queue_messages{{{PARKED}}}")
READ_BY_RECEIVERS = (
    '(milepost_config_last_reload_timestamp_seconds and on (instance) milepost_build_info{role=~"receiver|run"})'
)
REDIS_PAUSED = 'sum by (provider) (milepost_paused{reason="redis"})'
REDIS_ANSWERS = "sum(rate(milepost_redis_op_duration_seconds_count[1m]))"

RECORDS = (
    # Receivers that are gone cannot say that they refuse, and yet every webhook is refused: so what they said last is
    # remembered for three days.
    Record(
        "milepost:taken_until:timestamp_seconds",
        f"max by (provider) (({REFUSING} == bool 0) * time() > 0)\n"
        "or last_over_time(milepost:taken_until:timestamp_seconds[3d])",
    ),
    Record(
        "milepost:gives_up_after:seconds",
        f"max by (provider) ({GIVES_UP})\nor last_over_time(milepost:gives_up_after:seconds[3d])",
    ),
    # One receiver that refuses is enough: what it refused is on the provider's clock until another takes it.
    Record(
        "milepost:refusing_since:timestamp_seconds",
        f"min by (provider) ({REFUSING} > 0)\n"
        f"or (milepost:taken_until:timestamp_seconds unless on (provider) {REFUSING})",
        empty="nothing is refused",
    ),
    # Until the first webhook that we refused is gone for good. While nothing is refused: how long that would take.
    Record(
        "milepost:loss_clock:seconds",
        "(milepost:refusing_since:timestamp_seconds + on (provider) milepost:gives_up_after:seconds - time())\n"
        "or milepost:gives_up_after:seconds",
    ),
)


def share(part, whole, window, least):
    """How much of `whole` is `part`, if there were `least` of the whole."""
    of = f"sum by (provider) (increase({whole}[{window}]))"
    return f"sum by (provider) (increase({part}[{window}])) / ({of} >= {least})"


def causes():
    """Every alert on a cause, the most urgent first."""
    yield Alert(
        "MilepostLossClock",
        "page",
        "milepost:loss_clock:seconds",
        "< on (provider) (0.5 * milepost:gives_up_after:seconds)",
        "{{ $labels.provider }}: webhooks will soon be lost for good",
        "We refuse {{ $labels.provider }}'s webhooks, and in {{ $value | humanizeDuration }} the provider gives up the first of them; "
        "below zero, it has. Afterwards ask the provider to send them again, or compare with its portal.",
        "receiver-refusing",
    )
    yield Alert(
        "MilepostReceiverRefusing",
        "page",
        "time() - milepost:refusing_since:timestamp_seconds",
        "> 30",
        "{{ $labels.provider }}: we take none of its webhooks",
        "A receiver has taken none of {{ $labels.provider }}'s webhooks for {{ $value | humanizeDuration }}, or no receiver is left.",
        "receiver-refusing",
        lasting="1m",
        empty="nothing is refused",
    )
    yield Alert(
        "MilepostBrokerUnreachable",
        "page",
        'min by (instance) (milepost_broker_connected{role="publish"})',
        "== 0",
        "{{ $labels.instance }} has no connection to RabbitMQ",
        "Receivers answer 503 and workers stand still until it is back. The loss clock says how long there is.",
        "broker-down",
        lasting="30s",
    )
    yield Alert(
        "MilepostBrokerAlarm",
        "page",
        'max by (instance) ({__name__=~"rabbitmq_alarms_.+"})',
        "> 0",
        "RabbitMQ raised an alarm: it takes nothing from anybody",
        "{{ $labels.instance }} is out of memory, disk or file descriptors, and blocks every publisher.",
        "broker-alarm",
    )
    yield Alert(
        "MilepostRedisUnreachable",
        "page",
        REDIS_PAUSED,
        "> 0",
        "{{ $labels.provider }}: its worker waits for Redis",
        "{{ $value }} messages wait. Webhooks are still taken and stored; no updates are published.",
        "redis-down",
        guards=(f"on () ({REDIS_ANSWERS} == 0)",),
        lasting="1m",
    )
    yield Alert(
        "MilepostRedisRefusing",
        "page",
        REDIS_PAUSED,
        "> 0",
        "{{ $labels.provider }}: Redis answers its worker with errors",
        "{{ $value }} messages wait. Redis can be reached and refuses: it is full, or read-only.",
        "redis-full",
        guards=(f"on () ({REDIS_ANSWERS} > 0)",),
        lasting="1m",
    )
    yield Alert(
        "MilepostNoConsumers",
        "page",
        CONSUMERS,
        "== 0",
        "{{ $labels.provider }}: messages wait and nobody takes them",
        "The queue milepost.webhooks.{{ $labels.provider }} has messages and no consumer.",
        "worker-missing",
        guards=(f"({READY} > 0)",),
        lasting="2m",
    )
    yield Alert(
        "MilepostWorkerMissing",
        "page",
        'sum by (provider) (increase(milepost_http_requests_total{result="accepted"}[1d]))',
        "> 0",
        "{{ $labels.provider }}: no worker runs",
        "{{ $labels.provider }}'s webhooks were taken within the last day, and none of its workers is scraped.",
        "worker-missing",
        unless="on (provider) milepost_inflight_messages",
        lasting="2m",
    )
    yield Alert(
        "MilepostFormatChanged",
        "page",
        share(f'milepost_parked_total{{reason=~"{FORMAT}"}}', "milepost_messages_settled_total", "10m", 20),
        "> 0.1",
        "{{ $labels.provider }}: it seems to have changed its format",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s messages cannot be read, and are parked whole.",
        "provider-format-change",
        lasting="1m",
    )
    yield Alert(
        "MilepostUnknownStatus",
        "ticket",
        share("milepost_unknown_status_total", "milepost_messages_settled_total", "1h", 20),
        "> 0.05",
        "{{ $labels.provider }}: it sends statuses that its document does not have",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s updates are published with the status unknown.",
        "provider-format-change",
    )
    yield Alert(
        "MilepostWrongSecret",
        "page",
        share(
            'milepost_webhooks_rejected_total{reason=~"wrong_credential|missing_credential|no_secret"}',
            'milepost_http_requests_total{provider!="unknown"}',
            "10m",
            20,
        ),
        "> 0.5",
        "{{ $labels.provider }}: most of its webhooks do not fit our secret",
        "{{ $value | humanizePercentage }} are refused as not authentic, or because we have no secret. A secret was rotated on one side only, "
        "or somebody else sends them.",
        "secret-rotated-wrongly",
        lasting="1m",
    )
    yield Alert(
        "MilepostSecretStale",
        "ticket",
        f"max by (instance) (scalar(max({READ_BY_RECEIVERS})) - {READ_BY_RECEIVERS})",
        "> 60",
        "{{ $labels.instance }} works with older secrets than others",
        "It read its secrets {{ $value | humanizeDuration }} before the last process did, and refuses webhooks that do not fit them. "
        "If the secret was rotated, restart it.",
        "secret-rotated-wrongly",
        guards=(
            'on (instance) (sum by (instance) (increase(milepost_webhooks_rejected_total{reason="wrong_credential"}[15m])) >= 20)',
        ),
        lasting="1m",
    )
    yield Alert(
        "MilepostBacklogGrows",
        "page",
        READY,
        "> 1000",
        "{{ $labels.provider }}: its queue grows",
        "{{ $value | humanize }} messages wait, more than a quarter of an hour ago: webhooks come faster than the worker is.",
        "backlog",
        guards=(f"({by_provider(f'deriv(rabbitmq_detailed_queue_messages_ready{{{WORK}}}[15m])')} > 0)",),
        lasting="10m",
    )
    yield Alert(
        "MilepostRetryStorm",
        "page",
        share("milepost_retries_total", 'milepost_messages_settled_total{outcome!="deferred"}', "10m", 20),
        "> 0.3",
        "{{ $labels.provider }}: most messages have to be tried again",
        "{{ $value | humanizePercentage }} of what its worker did in ten minutes ended in a retry: a subscriber's queue is full and rejects.",
        "subscriber-queue-full",
        lasting="1m",
    )
    yield Alert(
        "MilepostLastRetry",
        "page",
        'sum by (provider) (increase(milepost_retry_delay_seconds_count[30m])) - sum by (provider) (increase(milepost_retry_delay_seconds_bucket{le="1024"}[30m]))',
        "> 0",
        "{{ $labels.provider }}: messages are near the end of their retries",
        "About {{ $value | humanize }} messages wait for the last time, for 35 minutes or less. Then they are parked.",
        "subscriber-queue-full",
    )
    yield Alert(
        "MilepostMessageStuck",
        "ticket",
        "max by (provider) (milepost_oldest_inflight_age_seconds)",
        "> 300",
        "{{ $labels.provider }}: a message has been in work for too long",
        "The worker has held a message for {{ $value | humanizeDuration }}. After ten minutes of an outage it gives everything back.",
        "poisoned-message",
    )
    yield Alert(
        "MilepostParked",
        "ticket",
        PARKED_NOW,
        "> 0",
        "{{ $labels.provider }}: messages are parked and wait for a person",
        "{{ $value | humanize }} messages are in milepost.parked.{{ $labels.provider }}.",
        "poisoned-message",
        lasting="5m",
    )
    yield Alert(
        "MilepostUnrouted",
        "page",
        'sum(rabbitmq_detailed_queue_messages{queue="milepost.unrouted"})',
        "> 0",
        "Messages had nowhere to go",
        "{{ $value | humanize }} messages are in milepost.unrouted, which should be impossible: somebody removed a queue or a binding.",
        "unrouted",
    )
    yield Alert(
        "MilepostProviderSilent",
        "ticket",
        'sum by (provider) (increase(milepost_http_requests_total{result="accepted"}[30m]))',
        "== 0",
        "{{ $labels.provider }}: nothing has come for half an hour",
        "At this time yesterday, and over the last six hours, at least ten webhooks came in half an hour.",
        "provider-silent",
        guards=(
            '(sum by (provider) (increase(milepost_http_requests_total{result="accepted"}[30m] offset 1d)) >= 10)',
            '(sum by (provider) (increase(milepost_http_requests_total{result="accepted"}[6h])) >= 120)',
        ),
    )
    yield Alert(
        "MilepostNotScraped",
        "page",
        'up{job=~"milepost|rabbitmq.*"}',
        "== 0",
        "{{ $labels.instance }} cannot be scraped",
        "Prometheus reaches neither its metrics nor, perhaps, the process: {{ $labels.job }}.",
        "worker-missing",
        lasting="2m",
    )
