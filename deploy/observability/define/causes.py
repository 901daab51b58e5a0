"""Alerts on causes. These need no traffic to fire, but for those that say what they need."""

from . import clock
from .model import BROKER, BY, FLEET, NO_SINK, PROCESS, QUEUES, WHERE, WHO, Alert, Record, le

WORK = 'queue=~"milepost\\\\.(webhooks|sink|links)\\\\..+"'
UNROUTED = 'queue="milepost.unrouted"'
PARKED = 'queue=~"milepost\\\\.parked\\\\..+"'
# Every queue that is not ours is a subscriber's.
OTHERS = 'queue!~"milepost\\\\..*|amq\\\\..*"'
REFUSED_UPDATES = 'milepost_retries_total{reason="publish_refused"}'
FORMAT = "malformed|missing_field|contradiction"
UNAUTHENTIC = 'reason=~"wrong_credential|missing_credential|ambiguous_credential|no_secret"'


def queues(name, which):
    """A metric of RabbitMQ's queues, one by one; `which` are label matchers."""
    return f"rabbitmq_detailed_queue_{name}{{{QUEUES},{which}}}"


def by_provider(series):
    """A queue's series, with the provider that the queue's name ends in as a label; of a sink's queue, its name there."""
    named = f'label_replace({series}, "provider", "$1", "queue", "milepost\\\\.(?:webhooks|parked)\\\\.(.+)")'
    return f'sum by ({BY}) (label_replace({named}, "provider", "$1-$2", "queue", "milepost\\\\.(sink|links)\\\\.(.+)"))'


READY = by_provider(queues("messages_ready", WORK))
UNACKED = by_provider(queues("messages_unacked", WORK))
CONSUMERS = by_provider(queues("consumers", WORK))
PARKED_NOW = by_provider(queues("messages", PARKED))
# The bound counts each message as 1 KiB at least.
PARKED_LIMIT = f"on ({BY}) max by ({BY}) (milepost_parked_limit_bytes)"
PARKED_SHARE = (
    f'max by ({BY}) (label_replace({by_provider(queues("messages_bytes", PARKED))} / {PARKED_LIMIT}, "of", "bytes", "", "")'
    f' or label_replace(1024 * {PARKED_NOW} / {PARKED_LIMIT}, "of", "messages", "", ""))'
)
REDIS_PAUSED = f'sum by ({BY}) (milepost_paused{{reason="redis"}})'
REDIS_ANSWERS = f"sum by ({FLEET}) (rate(milepost_redis_op_duration_seconds_count[1m]))"
WRONG_IN_PROCESS = (
    f'sum by ({PROCESS}, provider) (increase(milepost_webhooks_rejected_total{{reason="wrong_credential"}}[15m]))'
)
IN_PROCESS = f"sum by ({PROCESS}, provider) (increase(milepost_http_requests_total[15m]))"
# What a provider usually sends is known from these, recorded each minute (traffic).
ACCEPTED = "milepost:accepted:rate5m"
TRAFFIC = (Record(ACCEPTED, f'sum by ({BY}) (rate(milepost_http_requests_total{{result="accepted"}}[5m]))'),)


def accepted_within(window, seconds, offset=""):
    """How many webhooks were accepted in a window of so many seconds."""
    return f"avg_over_time({ACCEPTED}[{window}]{offset}) * {seconds}"


def share(part, whole, window, least):
    """How much of `whole` is `part`, if there were `least` of the whole."""
    of = f"sum by ({BY}) (increase({whole}[{window}]))"
    return f"sum by ({BY}) (increase({part}[{window}])) / ({of} >= {least})"


def causes():
    """Every alert on a cause, the most urgent first."""
    yield Alert(
        "MilepostLossClock",
        "page",
        clock.LOSS_CLOCK,
        f"< on ({BY}) (0.5 * {clock.GIVES_UP_AFTER})",
        f"{WHO}: webhooks will soon be lost for good",
        "We refuse {{ $labels.provider }}'s webhooks, and in {{ $value | humanizeDuration }} the provider gives up the first of them; "
        "below zero, it has. Afterwards ask the provider to send them again, or compare with its portal.",
        "receiver-refusing",
        lasting="30s",
    )
    yield Alert(
        "MilepostReceiverRefusing",
        "page",
        f"time() - {clock.REFUSING_SINCE}",
        "> 30",
        f"{WHO}: we take none of its webhooks",
        "No receiver has taken a webhook of {{ $labels.provider }} for {{ $value | humanizeDuration }}, and the last one was refused; "
        "or no receiver is left.",
        "receiver-refusing",
        lasting="1m",
        empty="nothing is refused",
    )
    yield Alert(
        "MilepostBrokerUnreachable",
        "page",
        f'min by ({PROCESS}) (milepost_broker_connected{{role="publish"}})',
        "== 0",
        f"{WHERE} has no connection to RabbitMQ",
        "Receivers answer 503 and workers pause until it is back. The loss clock says how long there is.",
        "broker-down",
        lasting="30s",
    )
    yield Alert(
        "MilepostBrokerAlarm",
        "page",
        f'max by ({PROCESS}) ({{__name__=~"rabbitmq_alarms_.+",{BROKER}}})',
        "> 0",
        "RabbitMQ raised an alarm and blocks every publisher",
        f"{WHERE} is out of memory, disk or file descriptors.",
        "broker-alarm",
    )
    yield Alert(
        "MilepostClockSkew",
        "ticket",
        f"max by ({PROCESS}) (abs(milepost_clock_skew_seconds))",
        "> 2",
        f"The clock of {WHERE}'s node is off",
        "By {{ $value | humanizeDuration }} against Redis's, by which Milepost corrects it: a receiver that cannot reach Redis is not corrected, "
        "and resends to it may come out as events of their own.",
        "clock-skew",
        lasting="5m",
    )
    yield Alert(
        "MilepostRedisUnreachable",
        "page",
        REDIS_PAUSED,
        "> 0",
        f"{WHO}: its worker waits for Redis",
        "{{ $value }} messages wait. Webhooks are still taken and stored; no updates are published.",
        "redis-down",
        guards=(f"on ({FLEET}) ({REDIS_ANSWERS} == 0)",),
        lasting="1m",
    )
    yield Alert(
        "MilepostRedisRefusing",
        "page",
        REDIS_PAUSED,
        "> 0",
        f"{WHO}: Redis answers its worker with errors",
        "{{ $value }} messages wait. Redis can be reached and refuses: it is full or read-only, has fewer replicas than it insists on, or a shard of a "
        "Cluster has no primary. milepost_redis_refusals_total and `milepost topology check` say which.",
        "redis-refusing",
        guards=(f"on ({FLEET}) ({REDIS_ANSWERS} > 0)",),
        lasting="1m",
    )
    yield Alert(
        "MilepostRedisNearlyFull",
        "ticket",
        f"max by ({FLEET}) (milepost_redis_memory_used_bytes / (milepost_redis_memory_limit_bytes > 0))",
        "> 0.85",
        "{{ with $labels.namespace }}{{ . }}: {{ end }}Redis is nearly full",
        "{{ $value | humanizePercentage }} of its maxmemory is used. Full, it refuses, and no updates are published.",
        "redis-full",
        lasting="15m",
        empty="this Redis may have no maxmemory",
    )
    yield Alert(
        "MilepostNoConsumers",
        "page",
        CONSUMERS,
        "== 0",
        f"{WHO}: messages wait and no worker takes them",
        "The work queue of {{ $labels.provider }} has messages and no consumer.",
        "worker-missing",
        guards=(f"({READY} > 0)",),
        lasting="2m",
    )
    yield Alert(
        "MilepostWorkerMissing",
        "page",
        f"time() - {clock.ACCEPTED_AT}",
        "< 86400",
        f"{WHO}: no worker runs",
        "{{ $labels.provider }}'s webhooks were taken within the last day, and none of its workers is scraped.",
        "worker-missing",
        unless=f"on ({BY}) milepost_inflight_messages",
        lasting="2m",
    )
    yield Alert(
        "MilepostFormatChanged",
        "page",
        share(f'milepost_parked_total{{{NO_SINK},reason=~"{FORMAT}"}}', "milepost_messages_settled_total", "10m", 20),
        "> 0.1",
        f"{WHO}: it seems to have changed its format",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s messages cannot be read, and are parked whole.",
        "provider-format-change",
        lasting="1m",
    )
    yield Alert(
        "MilepostUnknownStatus",
        "ticket",
        share("milepost_unknown_status_total", "milepost_messages_settled_total", "1h", 20),
        "> 0.05",
        f"{WHO}: it sends statuses that its document does not have",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s updates are published with the status unknown.",
        "provider-format-change",
    )
    unauthentic = share(
        f"milepost_webhooks_rejected_total{{{UNAUTHENTIC}}}",
        'milepost_http_requests_total{provider!="unknown"}',
        "10m",
        20,
    )
    yield Alert(
        "MilepostWrongSecret",
        "page",
        unauthentic,
        "> 0.5",
        f"{WHO}: its webhooks do not fit our secret",
        "{{ $value | humanizePercentage }} are refused as not authentic, or because we have no secret, and hardly any of those that usually come "
        "are accepted. A secret was rotated on one side only.",
        "secret-rotated-wrongly",
        # What anybody may post stops nothing of the provider's own.
        guards=(
            f"({accepted_within('10m', 600)} < 0.2 * ({accepted_within('3h', 600, ' offset 10m')} >= 10))",
        ),
        lasting="1m",
    )
    yield Alert(
        "MilepostNotAuthentic",
        "ticket",
        unauthentic,
        "> 0.5",
        f"{WHO}: most of what comes for it does not fit our secret",
        "{{ $value | humanizePercentage }} are refused as not authentic, or because we have no secret. Somebody else posts them, or a secret "
        "of an account with few webhooks was rotated on one side only.",
        "secret-rotated-wrongly",
        lasting="15m",
    )
    yield Alert(
        "MilepostSecretStale",
        "ticket",
        f"{WRONG_IN_PROCESS} / ({IN_PROCESS} >= 20)",
        "> 0.5",
        f"{WHERE} works with older secrets than others",
        "It refuses {{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks as not authentic, and another receiver hardly any. "
        "If the secret was rotated, restart it.",
        "secret-rotated-wrongly",
        # Forged webhooks reach every receiver alike.
        guards=(f"on ({BY}) (min by ({BY}) ({WRONG_IN_PROCESS} / ({IN_PROCESS} >= 20)) < 0.1)",),
        lasting="1m",
    )
    yield Alert(
        "MilepostAccountUnusable",
        "ticket",
        f"max by ({BY}) (milepost_accounts_dir_unusable)",
        "> 0",
        f"{WHO}: an account's file cannot be used",
        "{{ $value | humanize }} files of {{ $labels.provider }}'s accounts_dir, or the directory itself. An account keeps the secrets that it "
        "had; one that had none gets 503. The others are served.",
        "account-unusable",
        lasting="10m",
    )
    yield Alert(
        "MilepostBodiesCompressed",
        "ticket",
        share('milepost_webhooks_rejected_total{reason="unsupported_encoding"}', "milepost_http_requests_total", "10m", 20),
        "> 0.05",
        f"{WHO}: it compresses its bodies",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s webhooks are refused because their bodies are compressed: 415, of HubRise's "
        "503. Who does not send again loses them.",
        "provider-compresses",
        lasting="1m",
    )
    yield Alert(
        "MilepostBacklogGrows",
        "page",
        READY,
        "> 1000",
        f"{WHO}: its queue grows",
        "{{ $value | humanize }} messages wait, more than a quarter of an hour ago: arrivals exceed processing.",
        "backlog",
        guards=(f"({by_provider('deriv(' + queues('messages_ready', WORK) + '[15m])')} > 0)",),
        lasting="10m",
    )
    yield Alert(
        "MilepostRetryStorm",
        "page",
        share(f"milepost_retries_total{{{NO_SINK}}}", 'milepost_messages_settled_total{outcome!="deferred"}', "10m", 20),
        "> 0.3",
        f"{WHO}: most messages have to be retried",
        "{{ $value | humanizePercentage }} of what its worker did in ten minutes ended in a retry: a subscriber's queue is full and rejects.",
        "subscriber-queue-full",
        lasting="1m",
    )
    yield Alert(
        "MilepostUpdatesRefused",
        "ticket",
        f"sum by ({BY}) (increase({REFUSED_UPDATES}[10m]))",
        "> 0",
        f"{WHO}: a subscriber's full queue refuses updates",
        "About {{ $value | humanize }} updates were refused in ten minutes and wait for a retry; every other subscriber gets them again with it. "
        "`milepost topology check` names queues that reject; the board Milepost / RabbitMQ shows the longest of the subscribers' queues.",
        "subscriber-queue-full",
        lasting="5m",
    )
    yield Alert(
        "MilepostLastRetry",
        "page",
        f"sum by ({BY}) (increase(milepost_retry_delay_seconds_count{{{NO_SINK}}}[30m]))"
        f" - sum by ({BY}) (increase(milepost_retry_delay_seconds_bucket{{{NO_SINK},{le(1024)}}}[30m]))",
        "> 0",
        f"{WHO}: messages are near the end of their retries",
        "About {{ $value | humanize }} messages wait for the last time, for 35 minutes or less. Then they are parked.",
        "subscriber-queue-full",
    )
    yield Alert(
        "MilepostMessageStuck",
        "ticket",
        f"max by ({BY}) (milepost_oldest_inflight_age_seconds)",
        "> 300",
        f"{WHO}: a message has been in work for too long",
        "The worker has held a message for {{ $value | humanizeDuration }}. After ten minutes of an outage it gives everything back.",
        "message-stuck",
    )
    yield Alert(
        "MilepostParked",
        "ticket",
        PARKED_NOW,
        "> 0",
        f"{WHO}: messages are parked and need an operator",
        "{{ $value | humanize }} messages are in milepost.parked.{{ $labels.provider }}.",
        "poisoned-message",
        lasting="5m",
    )
    yield Alert(
        "MilepostParkedFilling",
        "ticket",
        PARKED_SHARE,
        "> 0.5",
        f"{WHO}: its parked queue is half full",
        "{{ $value | humanizePercentage }} of topology.parked_max_bytes. Full, it refuses: what has to be parked waits then, at first beside the "
        "messages of other accounts and in the end before them. `milepost parked summary` says whose they are.",
        "parked-full",
        lasting="5m",
    )
    yield Alert(
        "MilepostParkedFull",
        "page",
        f"sum by ({BY}) (increase(milepost_parks_refused_total[10m]))",
        "> 0",
        f"{WHO}: its parked queue is full",
        "About {{ $value | humanize }} messages could not be parked in ten minutes, and are tried again. Nothing is lost. The provider's other "
        "accounts are held up if they are many.",
        "parked-full",
        lasting="1m",
    )
    yield Alert(
        "MilepostUnrouted",
        "page",
        f"sum by ({FLEET}) ({queues('messages', UNROUTED)})",
        "> 0",
        "Messages had nowhere to go",
        "{{ $value | humanize }} messages are in milepost.unrouted, which should be impossible: a queue or a binding was removed.",
        "unrouted",
    )


def traffic():
    """Alerts that compare with the traffic of the last days, from recorded series."""
    yield Alert(
        "MilepostProviderSilent",
        "ticket",
        accepted_within("30m", 1800),
        "== 0",
        f"{WHO}: nothing has come for half an hour",
        "At this time yesterday, and over the last six hours, at least ten webhooks came in half an hour.",
        "provider-silent",
        guards=(
            f"({accepted_within('30m', 1800, ' offset 1d')} >= 10)",
            f"({accepted_within('6h', 21600)} >= 120)",
        ),
    )
