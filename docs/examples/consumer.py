#!/usr/bin/env python3
"""Consumes Milepost's updates; docs/subscribe.md says why each step is as it is.

    AMQP_URL=amqp://… consumer.py QUEUE       what comes to a queue that is bound to updates
    AMQP_URL=amqp://… consumer.py --from N    history, from offset N of the stream (0 is the beginning)

Prints a line for each event: whether it is news about its delivery, and the event without personal data. SIGTERM ends
it between two events. A lost connection ends it too: let what supervises it start it again.
"""

import json
import os
import signal
import sys
from collections import OrderedDict

import pika  # Debian's python3-pika, or pika from PyPI

PREFETCH = 64
STREAM = "milepost.updates.log"
PERSONAL = (
    "courier", "position", "sender", "recipient", "recipient_name", "origin", "destination", "proof", "tracking_url", "extra",
    "extra_as_text",
)


class Recent(OrderedDict):
    """The latest 100,000 entries. In a service of yours this is a table, written together with the effect."""

    def put(self, key, value):
        self[key] = value
        self.move_to_end(key)
        if len(self) > 100_000:
            self.popitem(last=False)


events, sequences = Recent(), Recent()


def number(text):
    """A number in `extra` that Python refuses, or takes for infinity, stays text: it must not cost the update."""
    try:
        value = float(text) if set(text) & set(".eE") else int(text)
    except ValueError:  # More digits than Python reads.
        return text
    return text if value in (float("inf"), float("-inf")) else value


def is_news(event):
    """Whether the event says more about its delivery than was known; if not, it is for the record only."""
    delivery, data = (event["source"], event["subject"]), event["data"]
    highest = sequences.get(delivery, -1)
    sequence = data.get("sequence", highest + 1)  # The oldest updates that the stream keeps may have none.
    news = data.get("order") != "late" and sequence > highest
    if news:
        sequences.put(delivery, sequence)
    return news


def without_personal_data(event):
    data = {key: value for key, value in event["data"].items() if key not in PERSONAL}
    if "reason" in data:
        data["reason"] = {key: value for key, value in data["reason"].items() if key == "code"}
    return {**event, "data": data}


def apply(event):
    """The effect, once for each event."""
    if event["id"] in events:
        return
    label = "news" if is_news(event) else "record"
    print(label, json.dumps(without_personal_data(event)), flush=True)
    events.put(event["id"], True)


def main():
    queue, arguments = sys.argv[1], {}
    if queue == "--from":
        queue, arguments = STREAM, {"x-stream-offset": int(sys.argv[2])}
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    messages = channel.consume(queue, arguments=arguments, inactivity_timeout=1)
    print("consuming from", queue, file=sys.stderr, flush=True)
    while not stopping:
        method, properties, body = next(messages)
        if method is None:
            continue  # Nothing came for a second: look whether to stop.
        try:
            event = json.loads(body, parse_int=number, parse_float=number)
            apply(event)
        except (ValueError, KeyError, TypeError, AttributeError):
            # Not an event of Milepost's: no further try can fix it.
            channel.basic_reject(method.delivery_tag, requeue=False)
            continue
        channel.basic_ack(method.delivery_tag)
        if queue == STREAM:
            print("next offset:", properties.headers["x-stream-offset"] + 1, file=sys.stderr, flush=True)
    channel.cancel()
    connection.close()


if __name__ == "__main__":
    main()
