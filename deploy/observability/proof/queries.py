"""Asks Prometheus what Grafana would ask, with what Grafana would put in place of its variables."""

import json
import math
import re
import urllib.error
import urllib.parse

from .fleet import get

# With a scrape each second; Grafana makes it four scrapes.
VARIABLES = {"$__rate_interval": "10s", "$provider": "telyport", "$namespace": ""}


def filled_in(expr):
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def name_of(legend, labels):
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend).strip()


class Prometheus:
    """Its HTTP API. Samples that are not numbers are left out: a board shows nothing for them."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        try:
            answer = json.loads(get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"Prometheus refuses {parameters['query']}: {error.read().decode()}") from error
        return answer["data"]["result"]

    def failed_rules(self):
        """The rules whose last evaluation was an error."""
        groups = json.loads(get(f"{self.url}/api/v1/rules"))["data"]["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}"
            for group in groups
            for rule in group["rules"]
            if rule["health"] == "err"
        ]

    def now(self, panel):
        """What a panel shows now: a number for each name."""
        shown = {}
        for query in panel.queries:
            for series in self.ask("query", query=filled_in(query.expr)):
                value = float(series["value"][1])
                if math.isfinite(value):
                    shown[name_of(query.legend, series["metric"])] = value
        return shown

    def over(self, expr, start, end, step=2):
        """Each series of a query over a time: its labels, and (time, value) pairs."""
        found = []
        for series in self.ask("query_range", query=filled_in(expr), start=start, end=end, step=step):
            points = [(time, float(value)) for time, value in series["values"]]
            points = [(time, value) for time, value in points if math.isfinite(value)]
            if points:
                found.append((series["metric"], points))
        return found
