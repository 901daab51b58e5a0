"""Alerts on deliveries that are not closed and of which nothing is heard, and on asking providers for them."""

from .model import BY, FLEET, WHO, Alert

# Each worker of a provider counts all of its deliveries.
OPEN = f"sum by ({BY}) (max by ({BY}, phase) (milepost_open_deliveries))"
SILENT = f"sum by ({BY}) (max by ({BY}, phase) (milepost_silent_deliveries))"


ANSWERED = 'result=~"ok|unknown"'


def requests(results, window):
    return f"sum by ({BY}) (increase(milepost_pull_requests_total{{{results}}}[{window}]))"


def causes():
    """Every alert on silence and recovery, the most urgent first."""
    yield Alert(
        "MilepostDeliveriesSilent",
        "ticket",
        f"{SILENT} / ({OPEN} >= 50)",
        "> 0.2",
        f"{WHO}: much of what it has under way is silent",
        "{{ $value | humanizePercentage }} of {{ $labels.provider }}'s open deliveries have had no update for longer than it usually takes: "
        "webhooks may be lost. `milepost open --silent` lists them.",
        "deliveries-silent",
        lasting="30m",
        empty="fewer than 50 deliveries may be open",
    )
    yield Alert(
        "MilepostPullDenied",
        "ticket",
        requests('result="denied"', "1h"),
        "> 0",
        f"{WHO}: it refuses the credential that we ask it with",
        "Or there is none. Nothing is asked of {{ $labels.provider }}, and what it did not send us stays missing.",
        "pull-fails",
        lasting="15m",
        empty="a fleet may have no reconciler",
    )
    yield Alert(
        "MilepostPullFails",
        "ticket",
        requests('result=~"unavailable|odd|limited"', "1h"),
        "> 3",
        f"{WHO}: it cannot be asked for deliveries",
        "Requests of the last hour failed, and none got an answer.",
        "pull-fails",
        unless=f"on ({BY}) ({requests(ANSWERED, '1h')} > 0)",
        lasting="30m",
        empty="a fleet may have no reconciler",
    )
    yield Alert(
        "MilepostReconcilerIdle",
        "ticket",
        f"sum by ({FLEET}) (milepost_reconciler_active)",
        "== 0",
        "{{ with $labels.namespace }}{{ . }}: {{ end }}no reconciler is active",
        "Some run, and none has the lease: Redis cannot be reached.",
        "pull-fails",
        lasting="10m",
        empty="a fleet may have no reconciler",
    )
