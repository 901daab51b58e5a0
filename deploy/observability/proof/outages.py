"""What is done to the fleet, and what the overview has to show of it: an SRE sees only that."""

import contextlib
from dataclasses import dataclass
from typing import Callable

# A new format: Telyport's event, well signed, in which nothing is where it was.
NEW_FORMAT = '{"version": 2, "webhookEventID": "w", "payload": {"consignment": {"code": "IN1", "stage": "STARTED"}}}'
SUBSCRIBER = "/queues/%2f/subscriber.full"

ACCEPTING, PUBLISHING, LOSS, PARKED = (
    "Are we accepting?",
    "Are we publishing?",
    "Loss clock",
    "Parked",
)
DEPENDS, BEHIND, FIRES = "What we depend on", "How far behind", "What fires"


@dataclass(frozen=True)
class Sign:
    """One thing that the overview has to show: on a panel, under a name, a value that `holds`."""

    panel: str
    name: str
    says: str
    holds: Callable[[float], bool]

    def seen(self, board):
        value = board[self.panel].get(self.name)
        return value is not None and self.holds(value)


def fires(alert):
    return Sign(FIRES, alert, "fires", lambda value: value > 0)


ALL_TAKEN = Sign(ACCEPTING, "telyport", "100 %", lambda value: value == 1)
STALLED = Sign(PUBLISHING, "telyport", "less than half", lambda value: value < 0.5)
BROKER_OK = Sign(DEPENDS, "RabbitMQ: publish", "ok", lambda value: value == 1)
REDIS_OK = Sign(DEPENDS, "Redis", "ok", lambda value: value == 1)
NO_CLOCK = Sign(LOSS, "telyport tolerates", "does not run", lambda value: value > 3600)
FLOWS = (
    ALL_TAKEN,
    Sign(PUBLISHING, "telyport", "nearly all", lambda value: value > 0.9),
    NO_CLOCK,
    BROKER_OK,
    REDIS_OK,
)


@dataclass(frozen=True)
class Phase:
    """A time in the fleet's life: `trouble` begins on entry and is over on exit."""

    name: str
    trouble: Callable
    signs: tuple[Sign, ...]
    ordinary: bool = True


@contextlib.contextmanager
def nothing(_fleet):
    yield


@contextlib.contextmanager
def format_change(fleet):
    body = fleet.folder / "new-format.json"
    body.write_text(NEW_FORMAT)
    sender = fleet.send("telyport", "--file", str(body), "--rate", "20")
    yield
    fleet.end(sender)


@contextlib.contextmanager
def subscriber_full(fleet):
    arguments = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
    fleet.manage("PUT", SUBSCRIBER, {"durable": True, "arguments": arguments})
    fleet.manage("POST", "/bindings/%2f/e/milepost.updates/q/subscriber.full", {"routing_key": "telyport.#"})
    yield
    fleet.manage("DELETE", SUBSCRIBER)


@contextlib.contextmanager
def redis_down(fleet):
    fleet.servers("kill-redis")
    yield
    fleet.servers("start-redis")


@contextlib.contextmanager
def broker_down(fleet):
    fleet.servers("kill-rabbit")
    yield
    fleet.servers("start-rabbit")


PHASES = (
    Phase("all is well", nothing, FLOWS),
    Phase(
        "provider format change",
        format_change,
        (
            ALL_TAKEN,
            STALLED,
            NO_CLOCK,
            BROKER_OK,
            REDIS_OK,
            Sign(PARKED, "telyport", "grows", lambda value: value > 20),
            fires("page MilepostFormatChanged telyport"),
        ),
        ordinary=False,
    ),
    Phase(
        "subscriber full",
        subscriber_full,
        (
            ALL_TAKEN,
            STALLED,
            NO_CLOCK,
            BROKER_OK,
            REDIS_OK,
            Sign(BEHIND, "retries", "grow", lambda value: value > 20),
            fires("page MilepostRetryStorm telyport"),
        ),
    ),
    Phase(
        "Redis down",
        redis_down,
        (
            ALL_TAKEN,
            STALLED,
            NO_CLOCK,
            BROKER_OK,
            Sign(DEPENDS, "Redis", "DOWN", lambda value: value == 0),
            Sign(BEHIND, "telyport", "grows", lambda value: value > 20),
        ),
    ),
    Phase(
        "broker down",
        broker_down,
        (
            Sign(ACCEPTING, "telyport", "less than half", lambda value: value < 0.5),
            Sign(LOSS, "telyport LOSES DATA IN", "runs", lambda value: value > 0),
            Sign(DEPENDS, "RabbitMQ: publish", "DOWN", lambda value: value == 0),
            fires("page MilepostBrokerUnreachable"),
        ),
    ),
    Phase("all is well again", nothing, FLOWS),
)
