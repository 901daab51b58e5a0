"""Boards are of one fleet, which is chosen by its namespace: every series that they ask for is limited to it. Where there
are no namespaces, none is chosen, and that fits."""

import re
from dataclasses import replace

CHOSEN = 'namespace=~"$namespace"'
# A string is left alone: queues are named like metrics.
SELECTOR = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|(?P<name>\b(?:milepost|rabbitmq)(?:_|:)[\w:]+|\bALERTS\b)(?P<brace>{)?"
    r"|(?P<nameless>(?<![\w:]){)(?=__name__)"
)
# The same for every fleet.
CONSTANT = {"milepost:slo_budget:ratio"}


def chosen(match):
    if match["nameless"]:
        return "{" + CHOSEN + ","
    if not match["name"] or match["name"] in CONSTANT:
        return match[0]
    return f"{match['name']}{{{CHOSEN}" + ("," if match["brace"] else "}")


def limited(expr):
    return SELECTOR.sub(chosen, expr)


def of_one_fleet(board):
    def panel(panel):
        return replace(panel, queries=tuple(replace(query, expr=limited(query.expr)) for query in panel.queries))

    rows = tuple(replace(row, panels=tuple(map(panel, row.panels))) for row in board.rows)
    return replace(board, rows=rows)
