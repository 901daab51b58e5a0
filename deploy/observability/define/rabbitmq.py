"""RabbitMQ's board: Milepost's queues, and how close the broker is to its limits."""

from .model import Board, Panel, Query, Row
from .panels import GREEN, RATE, RED, one


def rabbitmq():
    ours = 'queue=~"milepost\\\\.(webhooks|delay|parked|unrouted).*"'
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
                        one(f"sum by (queue) (rabbitmq_detailed_queue_{name}{{{ours}}})", "{{queue}}"),
                    )
                    for title, about, name in (
                        (
                            "Ready",
                            "Messages that wait, in each queue; delay queues hold those that wait for a retry.",
                            "messages_ready",
                        ),
                        ("Unacked", "Messages that a consumer holds.", "messages_unacked"),
                        ("Consumers", "Who takes from each queue. Parked and delay queues have none.", "consumers"),
                    )
                )
                + (
                    Panel(
                        "Unrouted",
                        "Should be impossible: a queue or a binding is missing.",
                        "short",
                        one('sum(rabbitmq_detailed_queue_messages{queue="milepost.unrouted"})', "messages"),
                        kind="stat",
                        steps=((0, GREEN), (1, RED)),
                    ),
                    Panel(
                        "Dead-lettered",
                        "Messages that a delay level passed on, or that a queue gave up after too many deliveries.",
                        "ops",
                        tuple(
                            Query(f"sum(rate(rabbitmq_global_messages_dead_lettered_{why}_total[{RATE}]))", why)
                            for why in ("expired", "delivery_limit")
                        ),
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
                            "rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "Disk",
                        "How many times the least free space that RabbitMQ insists on is free; at 1 it blocks publishers.",
                        "none",
                        one(
                            "rabbitmq_disk_space_available_bytes / rabbitmq_disk_space_available_limit_bytes",
                            "{{instance}}",
                        ),
                    ),
                    Panel(
                        "File descriptors",
                        "Share of the most it may open.",
                        "percentunit",
                        one("rabbitmq_process_open_fds / rabbitmq_process_max_fds", "{{instance}}"),
                    ),
                ),
            ),
        ),
    )
