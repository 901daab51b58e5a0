"""Writes boards as Grafana reads them (schema 38: Grafana 10 and later), and rules as Prometheus reads them."""

import json

from .fleet import CHOSEN
from .model import Record

HEADER = "# Made by deploy/observability/generate from what is in define/: change it there.\n"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRAFANA_WIDTH = 24
# Every receiver has it from its start; recording rules may not be loaded.
PROVIDERS = "milepost_provider_gives_up_after_seconds"


def variables(board):
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    fleet = {
        "name": "namespace",
        "label": "Fleet",
        "type": "query",
        "datasource": SOURCE,
        "refresh": 2,
        "sort": 1,
        # Where there are no namespaces, nothing is chosen, which fits series without one.
        "query": {"query": "label_values(milepost_build_info, namespace)", "refId": "namespace"},
        "multi": False,
        "includeAll": False,
    }
    if not board.provider:
        return [source, fleet]
    return [
        source,
        fleet,
        {
            "name": "provider",
            "label": "Provider",
            "type": "query",
            "datasource": SOURCE,
            "refresh": 2,
            "sort": 1,
            "query": {"query": f"label_values({PROVIDERS}{{{CHOSEN}}}, provider)", "refId": "provider"},
            # A worker's board is about one: its queues are named after it.
            "multi": board.uid == "milepost-receiver",
            "includeAll": board.uid == "milepost-receiver",
        },
    ]


def target(panel, number, query):
    written = {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
    }
    if panel.kind == "table":
        return written | {"instant": True, "format": "table"}
    return written | {"range": True, "format": "heatmap" if panel.kind == "heatmap" else "time_series"}


OPTIONS = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value_and_name",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def field_config(panel):
    defaults = {"unit": panel.unit, "noValue": "none"}
    if panel.kind == "timeseries":
        defaults |= {"min": 0, "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.steps:
        first, *others = panel.steps
        steps = [{"value": None, "color": first[1]}] + [{"value": value, "color": colour} for value, colour in others]
        defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.words:
        options = {str(value): {"text": text, "color": colour} for value, (text, colour) in panel.words.items()}
        defaults["mappings"] = [{"type": "value", "options": options}]
    overrides = [
        {
            "matcher": {"id": "byRegexp", "options": f"/{pattern}/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for pattern, colour in panel.fixed.items()
    ]
    return {"defaults": defaults, "overrides": overrides}


def grafana(board):
    """The board's JSON."""
    panels, x, y, row_height = [], 0, 0, 0
    for row in board.rows:
        y, x, row_height = y + row_height, 0, 0
        if len(board.rows) > 1:
            panels.append(
                {
                    "type": "row",
                    "title": row.title,
                    "collapsed": False,
                    "panels": [],
                    "gridPos": {"x": 0, "y": y, "w": GRAFANA_WIDTH, "h": 1},
                }
            )
            y += 1
        for panel in row.panels:
            if x + panel.width > GRAFANA_WIDTH:
                y, x, row_height = y + row_height, 0, 0
            panels.append(
                {
                    "type": panel.kind,
                    "title": panel.title,
                    "description": panel.description,
                    "datasource": SOURCE,
                    "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
                    "targets": [target(panel, *numbered) for numbered in enumerate(panel.queries)],
                    "fieldConfig": field_config(panel),
                    "options": OPTIONS[panel.kind],
                }
            )
            x, row_height = x + panel.width, max(row_height, panel.height)
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return (
        json.dumps(
            {
                "uid": board.uid,
                "title": board.title,
                "description": board.description,
                "tags": ["milepost"],
                "schemaVersion": 38,
                "version": 1,
                "editable": True,
                "graphTooltip": 1,
                "refresh": "30s",
                "timezone": "browser",
                "time": {"from": "now-1h", "to": "now"},
                "templating": {"list": variables(board)},
                "annotations": {"list": []},
                "links": [
                    {
                        "type": "dashboards",
                        "tags": ["milepost"],
                        "title": "Milepost",
                        "asDropdown": True,
                        "includeVars": True,
                        "keepTime": True,
                    }
                ],
                "panels": panels,
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def block(key, text, indent):
    """A YAML entry; text of several lines as a literal block, all else as JSON's strings, which are YAML's too."""
    pad = " " * indent
    if "\n" not in text:
        return f"{pad}{key}: {json.dumps(text, ensure_ascii=False)}\n"
    return f"{pad}{key}: |-\n" + "".join(f"{pad}  {line}\n" for line in text.split("\n"))


def entries(key, values, indent):
    written = "".join(block(name, value, indent + 2) for name, value in values.items())
    return f"{' ' * indent}{key}:\n{written}" if written else ""


def record_rule(record):
    return f"      - record: {record.name}\n" + block("expr", record.expr, 8) + entries("labels", record.labels, 8)


def alert_rule(alert, runbook_url):
    return (
        f"      - alert: {alert.name}\n"
        + block("expr", alert.expr, 8)
        + (f"        for: {alert.lasting}\n" if alert.lasting != "0s" else "")
        + entries("labels", {"severity": alert.severity}, 8)
        + entries(
            "annotations",
            {"summary": alert.summary, "description": alert.description, "runbook_url": f"{runbook_url}#{alert.runbook}"},
            8,
        )
    )


def group_of_rules(group, runbook_url):
    """Its rules are evaluated in the order given."""
    interval = f"    interval: {group.interval}\n" if group.interval else ""
    written = (
        record_rule(rule) if isinstance(rule, Record) else alert_rule(rule, runbook_url) for rule in group.rules
    )
    return f"  - name: {group.name}\n{interval}    rules:\n" + "".join(written)


def rules(groups, runbook_url):
    """A rule file."""
    return f"{HEADER}groups:\n" + "".join(group_of_rules(group, runbook_url) for group in groups)


def prometheus_rule(name, rule_file):
    """A rule file as the Prometheus operator takes it: the same text, deeper."""
    groups = "".join(f"  {line}\n" if line else "\n" for line in rule_file.removeprefix(HEADER).splitlines())
    return (
        f"{HEADER}apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
        f"metadata:\n  name: {name}\n  labels:\n    app.kubernetes.io/part-of: milepost\nspec:\n{groups}"
    )
