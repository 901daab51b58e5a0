"""Alerts on the HubRise sink. Its queue without a consumer, its backlog and what is parked are among the causes: a sink has a
name among the providers' there."""

from .model import FLEET, Alert

BY_CONNECTION = f"{FLEET}, connection"
# For people, in an alert's texts.
CONNECTION = "{{ with $labels.namespace }}{{ . }}: {{ end }}HubRise connection {{ $labels.connection }}"
SINK = "{{ with $labels.namespace }}{{ . }}: {{ end }}{{ $labels.provider }}"
# Replicas read it from Redis every 15 s.
PAUSED = f"max by ({BY_CONNECTION}, reason) (milepost_hubrise_paused)"
LEFT_TODAY = f'min by ({BY_CONNECTION}) (milepost_hubrise_requests_left{{window="day"}})'


def requests(results, window):
    return f"sum by ({BY_CONNECTION}) (increase(milepost_hubrise_requests_total{{{results}}}[{window}]))"


NOT_ANSWERED, ANSWERED = 'result="no_answer"', 'result!="no_answer"'


def causes():
    """Every alert on the sink, the most urgent first."""
    yield Alert(
        "MilepostHubrisePaused",
        "page",
        PAUSED,
        "> 0",
        f"{CONNECTION} is paused",
        "Nothing is sent on it: {{ $labels.reason }}. Its updates wait and spend no attempt; its merchant sees deliveries that are stale.",
        "hubrise-paused",
        lasting="1m",
    )
    yield Alert(
        "MilepostHubriseAway",
        "ticket",
        requests(NOT_ANSWERED, "10m"),
        "> 0",
        f"{CONNECTION}: HubRise has not answered for half an hour",
        "Requests end without an answer, and none with one. Updates wait and spend no attempt.",
        "hubrise-away",
        unless=f"on ({BY_CONNECTION}) ({requests(ANSWERED, '10m')} > 0)",
        lasting="20m",
        empty="HubRise answers",
    )
    yield Alert(
        "MilepostHubriseBudget",
        "ticket",
        f"{LEFT_TODAY} / (sum by ({BY_CONNECTION}) (rate(milepost_hubrise_requests_total[1h])) > 0)",
        "< 7200",
        f"{CONNECTION} spends its requests of the day too fast",
        "At the rate of the last hour none is left in {{ $value | humanizeDuration }}. Positions and estimates stop first; then statuses wait.",
        "hubrise-budget",
        lasting="15m",
    )
    yield Alert(
        "MilepostHubriseLimited",
        "ticket",
        f'sum by ({FLEET}) (increase(milepost_sink_deferrals_total{{reason="limited"}}[10m]))',
        "> 0",
        "{{ with $labels.namespace }}{{ . }}: {{ end }}updates for HubRise wait for its limits",
        "For half an hour updates have waited because a limit of requests is spent, or HubRise said so.",
        "hubrise-budget",
        lasting="30m",
    )
    yield Alert(
        "MilepostSinkUnlinked",
        "ticket",
        f'sum by ({FLEET}, provider) (increase(milepost_messages_settled_total{{outcome="unlinked"}}[1h]))',
        "> 0",
        f"{SINK}: updates were dropped, as nothing links them to an order",
        "About {{ $value | humanize }} in the last hour. No rule found an order in their references, and no link came in time.",
        "hubrise-unlinked",
    )
