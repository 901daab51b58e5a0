"""The loss clock: time until the first refused webhook is lost.

A receiver says of itself alone since when it has been refusing. The fleet refuses a provider when the last of its
webhooks, by whichever receiver, was refused: since then, but at the earliest since the last one that was accepted.
Receivers that are gone cannot say that they refuse, and yet every webhook is refused: so what they said last is
remembered. Memory is bounded by the time that is remembered, and not by the range that is looked over, because what is
remembered is recorded again.
"""

from .model import BY, Record

REFUSING = "milepost_refusing_since_timestamp_seconds"
GIVES_UP = "milepost_provider_gives_up_after_seconds"
ACCEPTED_AT = "milepost:accepted_at:timestamp_seconds"
REFUSED_AT = "milepost:refused_at:timestamp_seconds"
REFUSING_SINCE = "milepost:refusing_since:timestamp_seconds"
TAKEN_UNTIL = "milepost:taken_until:timestamp_seconds"
GIVES_UP_AFTER = "milepost:gives_up_after:seconds"
LOSS_CLOCK = "milepost:loss_clock:seconds"
# For so long it is known what receivers said that are gone.
MEMORY_SECONDS = 259200
# No provider waits longer between two tries. Without one in this time nothing that was refused is still on its way.
TRIES_SECONDS = 2700


def latest(left, right):
    """Of two times that aggregate alike, the later; either may be missing."""
    return f"(({left}) > ({right}) or ({right}) or ({left}))"


def remembered(name, seconds):
    return f"(last_over_time({name}[1h]) > time() - {seconds})"


def refusing_since():
    """Beside what receivers say now: what was said before their restart."""
    said = f"min by ({BY}) ({REFUSING} > 0 or last_over_time({REFUSING_SINCE}[10m]))"
    refused_last = f"{REFUSED_AT} > ({ACCEPTED_AT} or 0 * {REFUSED_AT})"
    gone = f"({TAKEN_UNTIL} and on ({BY}) {ACCEPTED_AT}) unless on ({BY}) {REFUSING}"
    return f"({latest(said, ACCEPTED_AT)} and on ({BY}) ({refused_last}))\nor ({gone})"


RECORDS = (
    Record(
        ACCEPTED_AT,
        f"max by ({BY}) (milepost_last_accepted_timestamp_seconds > 0 or {remembered(ACCEPTED_AT, MEMORY_SECONDS)})",
    ),
    Record(
        REFUSED_AT,
        latest(
            f"max by ({BY}) (milepost_last_refused_timestamp_seconds > 0 or {remembered(REFUSED_AT, TRIES_SECONDS)})",
            # A receiver's clock also runs while it has no RabbitMQ, before it refuses anything: then all of them have to be
            # without, and the provider has to be one that sends.
            f"max by ({BY}) ({REFUSING}) and on ({BY}) (min by ({BY}) ({REFUSING}) > 0) and on ({BY}) {ACCEPTED_AT}",
        )
        + f" > time() - {TRIES_SECONDS}",
        empty="nothing is refused",
    ),
    Record(REFUSING_SINCE, refusing_since(), empty="nothing is refused"),
    # Since when receivers that are gone may have been.
    Record(
        TAKEN_UNTIL,
        f"(0 * max by ({BY}) ({REFUSING}) + time() unless on ({BY}) {REFUSING_SINCE})\n"
        f"or {remembered(TAKEN_UNTIL, MEMORY_SECONDS)}",
    ),
    Record(
        GIVES_UP_AFTER,
        f"max by ({BY}) ({GIVES_UP})\nor (last_over_time({GIVES_UP_AFTER}[1h]) and on ({BY}) {TAKEN_UNTIL})",
    ),
    # Until the first webhook that we refused is gone for good. While nothing is refused: how long that would take.
    Record(
        LOSS_CLOCK,
        f"({REFUSING_SINCE} + on ({BY}) {GIVES_UP_AFTER} - time())\nor {GIVES_UP_AFTER}",
    ),
)
