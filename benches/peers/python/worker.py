"""The usual Python worker, with FastStream: parse, SET NX, publish confirmed, SET, acknowledge. It has no leases, no order
and no retries, and it loses an event when it dies between its first SET and its publish.

worker.py JSON, with what benches/driver/peers.rs passes. It prints "ready" once it consumes."""

import asyncio
import hashlib
import json
import os
import sys
import traceback

from event import event
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue
from redis.asyncio import BlockingConnectionPool, Redis

SETTINGS = json.loads(sys.argv[1])
PROPERTIES = SETTINGS["properties"]
FORTNIGHT = 14 * 24 * 3600

broker = RabbitBroker(
    SETTINGS["amqpUrl"],
    default_channel=Channel(prefetch_count=SETTINGS["prefetch"], publisher_confirms=True),
    logger=None,
)
app = FastStream(broker, logger=None)
# The default pool fails when more than 100 messages are in flight.
memory = Redis(connection_pool=BlockingConnectionPool.from_url(SETTINGS["redisUrl"], max_connections=50))
updates = RabbitExchange(SETTINGS["exchange"], type=ExchangeType.TOPIC, declare=False)


@broker.subscriber(RabbitQueue(SETTINGS["queue"], declare=False), ack_policy=AckPolicy.ACK)
async def handle(webhook: dict, message: RabbitMessage) -> None:
    try:
        await publish_once(webhook, message)
    except Exception:
        # FastStream would go on, and the bench would look for an event that is lost.
        traceback.print_exc()
        os._exit(1)


async def publish_once(webhook: dict, message: RabbitMessage) -> None:
    data = webhook["data"]
    words = f"{data['orderID']} {data['status']} {data.get('updatedAt')}"
    event_id = hashlib.sha256(words.encode()).hexdigest()[:32]
    if not await memory.set(f"python:{event_id}", "claimed", nx=True, ex=FORTNIGHT):
        return
    account = message.headers.get("mp-account") or message.correlation_id
    key, at, body = event(event_id, account, message.message_id, SETTINGS.get("traceparent"), webhook)
    options = {
        "content_type": PROPERTIES.get("contentType"),
        "message_type": PROPERTIES.get("type"),
        "correlation_id": PROPERTIES.get("correlationId"),
        "headers": PROPERTIES.get("headers"),
        "message_id": event_id if "messageId" in PROPERTIES else None,
        "timestamp": at // 1000 if "timestamp" in PROPERTIES else None,
    }
    await broker.publish(json.dumps(body, separators=(",", ":")).encode(), key, updates, persist=True, **options)
    await memory.set(f"python:{event_id}", "done", ex=FORTNIGHT)


@app.after_startup
async def ready() -> None:
    print("ready", flush=True)


asyncio.run(app.run())
