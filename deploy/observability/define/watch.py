"""Alerts on what Prometheus does not see: an alert whose series are missing can never fire, and would not say so."""

from .causes import WORK, queues
from .model import BROKER, FLEET, WHERE, Alert

FLEETS = f'count by ({FLEET}) (milepost_build_info{{role!="run"}})'


def without(job, series):
    """The fleets that have no such series, with the job that is missing as a label."""
    return f'label_replace({FLEETS} unless on ({FLEET}) {series}, "job", "{job}", "", "")'


def watch():
    yield Alert(
        "MilepostNotScraped",
        "page",
        'up{job=~"milepost|milepost-rabbitmq(-queues)?"}',
        "== 0",
        f"{WHERE} cannot be scraped",
        "Prometheus reaches neither its metrics nor, perhaps, the process: {{ $labels.job }}.",
        "not-scraped",
        lasting="2m",
    )
    yield Alert(
        "MilepostAbsent",
        "page",
        "absent(milepost_build_info)",
        "",
        "Prometheus knows no process of Milepost",
        "Nothing of the fleet is scraped: no alert on it can fire. It is gone, or its scrape configuration is.",
        "not-scraped",
        lasting="5m",
        empty="something is scraped",
    )
    yield Alert(
        "MilepostBrokerNotWatched",
        "ticket",
        "\nor\n".join(
            (
                without("milepost-rabbitmq", f"rabbitmq_alarms_memory_used_watermark{{{BROKER}}}"),
                without("milepost-rabbitmq-queues", queues("consumers", WORK)),
            )
        ),
        "> 0",
        "Nothing scrapes RabbitMQ as {{ $labels.job }}",
        "Alerts on its alarms, on queues without consumers, on backlogs, and on parked and unrouted messages cannot fire"
        "{{ with $labels.namespace }} for the fleet in {{ . }}{{ end }}.",
        "not-scraped",
        lasting="10m",
        empty="both are scraped",
    )
    yield Alert(
        "MilepostWatchdog",
        "none",
        "vector(1)",
        "",
        "Milepost's rules are evaluated, and alerts are sent",
        "It always fires: have something outside of this Prometheus say so when it stops.",
        "watchdog",
    )
