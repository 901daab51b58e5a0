"""RabbitMQ's board: Milepost's queues, and how close the broker is to its limits."""

from .causes import OTHERS, UNROUTED, queues
from .model import BROKER, Board, Panel, Query, Row
from .panels import GREEN, RATE, RED, one


def rabbitmq():
    ours = 'queue=~"milepost\\\\.(webhooks|sink|links|delay|parked|unrouted).*"'
    return Board(
        "milepost-rabbitmq",
        "Milepost / RabbitMQ",
        "The queues that Milepost owns, and how close the broker is to its limits.",
        (
            Row(
                "Queues",
                tuple(
                    Panel(
                        title,
                        about,
                        "short",
                        one(f"sum by (queue) ({queues(name, ours)})", "{{queue}}"),
                    )
                    for title, about, name in (
                        (
                            "Ready",
                            "Messages that wait, in each queue; delay queues hold those that wait for a retry.",
                            "messages_ready",
                        ),
                        ("Unacked", "Messages that a consumer holds.", "messages_unacked"),
                        ("Consumers", "What takes from each queue. Parked and delay queues have none.", "consumers"),
                    )
                )
                + (
                    Panel(
                        "Unrouted",
                        "Should be impossible: a queue or a binding is missing.",
                        "short",
                        one(f"sum({queues('messages', UNROUTED)})", "messages"),
                        kind="stat",
                        steps=((0, GREEN), (1, RED)),
                    ),
                    Panel(
                        "Dead-lettered",
                        "Messages that a delay level passed on, or that a queue gave up after too many deliveries.",
                        "ops",
                        tuple(
                            Query(f"sum(rate(rabbitmq_global_messages_dead_lettered_{why}_total{{{BROKER}}}[{RATE}]))", why)
                            for why in ("expired", "delivery_limit")
                        ),
                    ),
                    Panel(
                        "Longest of the subscribers' queues",
                        "One that is full and rejects (x-overflow reject-publish) makes every other subscriber get repeats: MilepostUpdatesRefused.",
                        "short",
                        one(f"topk(10, max by (queue) ({queues('messages', OTHERS)}))", "{{queue}}"),
                        empty="there may be no subscriber with a queue",
                    ),
                    Panel(
                        "Connected",
                        "Milepost's connections by process and what they are for.",
                        "short",
                        one("max by (instance, role) (milepost_broker_connected)", "{{instance}} {{role}}"),
                    ),
                ),
            ),
            Row(
                "Saturation",
                (
                    Panel(
                        "Memory",
                        "Share of the limit at which RabbitMQ blocks publishers.",
                        "percentunit",
                        one(
                            f"rabbitmq_process_resident_memory_bytes{{{BROKER}}} / rabbitmq_resident_memory_limit_bytes{{{BROKER}}}",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "Disk",
                        "How many times the least free space that RabbitMQ insists on is free; at 1 it blocks publishers.",
                        "none",
                        one(
                            f"rabbitmq_disk_space_available_bytes{{{BROKER}}} / rabbitmq_disk_space_available_limit_bytes{{{BROKER}}}",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "File descriptors",
                        "Share of the most it may open.",
                        "percentunit",
                        one(f"rabbitmq_process_open_fds{{{BROKER}}} / rabbitmq_process_max_fds{{{BROKER}}}", "{{instance}}"),
                    ),
                ),
            ),
        ),
    )
