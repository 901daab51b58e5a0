"""Draws every panel of every board into one picture, for a person without Grafana. Needs matplotlib."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402

from define.boards import BOARDS  # noqa: E402

from .queries import name_of  # noqa: E402

STEP = 2  # seconds between two samples
WIDTH, UNIT = 24, 0.62  # Grafana's grid, and inches for each of its columns; a row of it is half as high.


def spoken(value, unit):
    """A value as Grafana would write it."""
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s" and abs(value) >= 60:
        return f"{value / 60:.0f} min"
    return f"{value:.3g}" + {"s": " s", "ops": "/s"}.get(unit, "")


def colour_of(panel, name, value):
    for pattern, colour in panel.fixed.items():
        if pattern in name:
            return colour
    if panel.words:
        return panel.words[round(value)][1]
    chosen = panel.steps[0][1] if panel.steps else "lightgrey"
    for least, colour in panel.steps[1:]:
        chosen = colour if value >= least else chosen
    return chosen


def lines(axes, panel, found):
    for name, points in found:
        axes.plot([time for time, _ in points], [value for _, value in points], linewidth=1, label=name)
    if found:
        # Twelve queues' names would hide their lines.
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles[:10], names[:10], fontsize=5, loc="upper left", ncol=2, framealpha=0.6)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: spoken(value, panel.unit))


def bands(axes, panel, found, phases):
    """A stat over time: one band a name in the colour of each moment, and its value at the end of each phase."""
    found = sorted(found, reverse=True)
    for row, (name, points) in enumerate(found):
        for time, value in points:
            axes.barh(row, STEP, left=time, height=0.8, color=colour_of(panel, name, value), alpha=0.65, linewidth=0)
        axes.text(axes.get_xlim()[0], row + 0.25, f" {name}", fontsize=5.5, va="center", weight="bold")
        for begin, end in phases:
            if last := [value for time, value in points if begin <= time < end]:
                word = panel.words[round(last[-1])][0] if panel.words else spoken(last[-1], panel.unit)
                axes.text(end - 1, row - 0.15, word, fontsize=5.5, ha="right", va="center")
    axes.set_yticks([])


def heat(axes, panel, found):
    """Each bucket's own share: Prometheus's are cumulative."""
    rows = sorted((float(name.replace("+Inf", "inf")), dict(points)) for name, points in found)
    times = sorted({time for _, points in rows for time in points})
    below, cells = dict.fromkeys(times, 0.0), []
    for _, points in rows:
        cells.append([max(points.get(time, 0) - below[time], 0) or math.nan for time in times])
        below = {time: points.get(time, 0) for time in times}
    if times:
        axes.pcolormesh(times, range(len(rows)), cells, cmap="Oranges", norm=LogNorm(), shading="nearest")
        axes.set_yticks(range(len(rows)), [f"{bound:g}" for bound, _ in rows], fontsize=4)


def placed(boards):
    """Each panel with its row on the page, its column and what heads it."""
    top = 0
    for board in boards:
        for row in board.rows:
            heading, x, height = f"{board.title}: {row.title}" if len(board.rows) > 1 else board.title, 0, 0
            top += 2
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    top, x, height = top + height, 0, 0
                yield panel, top, x, heading if x == 0 and height == 0 else ""
                heading, x, height = "", x + panel.width, max(height, panel.height)
            top += height


def draw(path, prometheus, start, end, began):
    """Draws the time from `start` to `end`; `began` has the phases and when each began."""
    layout = list(placed(BOARDS))
    tall = max(top + panel.height for panel, top, _, _ in layout) + 1
    figure = plt.figure(figsize=(WIDTH * UNIT, tall * UNIT / 2), dpi=110)
    edges = [*began.values(), end]
    phases = list(zip(edges[:-1], edges[1:], strict=True))
    for panel, top, x, heading in layout:
        place = (
            (x + 1.5) / WIDTH,
            1 - (top + panel.height - 0.9) / tall,
            (panel.width - 1.8) / WIDTH,
            (panel.height - 2) / tall,
        )
        axes = figure.add_axes(place)
        axes.set_xlim(start, end)
        found = []
        for query in panel.queries:
            found += [
                (name_of(query.legend, labels), points)
                for labels, points in prometheus.over(query.expr, start, end, STEP)
            ]
        if panel.kind == "heatmap":
            heat(axes, panel, found)
        elif panel.kind == "timeseries":
            lines(axes, panel, found)
        else:
            bands(axes, panel, found, phases)
        axes.set_title(panel.title, fontsize=7, loc="left")
        axes.set_xlim(start, end)
        axes.set_xticks([(begin + end) / 2 for begin, end in phases], range(1, len(phases) + 1), fontsize=6)
        axes.tick_params(axis="x", length=0)
        axes.tick_params(axis="y", labelsize=5)
        for begun in began.values():
            axes.axvline(begun, color="black", linewidth=0.3)
        if heading:
            figure.text(0.01, 1 - (top - 0.4) / tall, heading, fontsize=10, weight="bold")
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(began, 1))
    figure.text(0.99, 1 - 0.8 / tall, legend, fontsize=9, ha="right", va="top")
    figure.savefig(path)
