"""Draws every panel of every board into one picture, for readers without Grafana. Needs matplotlib."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402
from PIL import Image  # noqa: E402

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


class Clock:
    """Times of the proof as a picture has them: every phase is as wide as the others, however long it lasted."""

    def __init__(self, began, seen, end):
        self.edges = [*began, end]
        # When each phase was shown by the overview: after that its trouble is over, and it goes on for a while.
        self.seen = list(seen)

    def __call__(self, time):
        for number, (begin, end) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            if time < end:
                return number + max(time - begin, 0) / (end - begin)
        return float(len(self.edges) - 1)

    @property
    def phases(self):
        return len(self.edges) - 1


def lines(axes, panel, found, clock):
    for name, points in found:
        axes.plot([clock(time) for time, _ in points], [value for _, value in points], linewidth=1, label=name)
    if found:
        # Below the picture, where no line is. Twelve queues' names would leave it no room.
        handles, names = axes.get_legend_handles_labels()
        names = [name if len(name) <= 30 else f"{name[:29]}…" for name in names]
        place = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.1), "borderaxespad": 0}
        axes.legend(handles[:8], names[:8], fontsize=5, ncol=4 if panel.width > 8 else 3, frameon=False, **place)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: spoken(value, panel.unit))


def bands(axes, panel, found, clock):
    """A stat over time: one band a name in the colour of each moment, and its value when each phase was seen."""
    found = sorted(found, reverse=True)
    most = 12
    for row, (name, points) in enumerate(found[-most:]):
        for (time, value), (until, _) in zip(points, [*points[1:], (points[-1][0] + STEP, 0)], strict=True):
            begin, end = clock(time), clock(min(until, time + STEP))
            colour = colour_of(panel, name, value)
            axes.barh(row, end - begin, left=begin, height=0.8, align="center", color=colour, alpha=0.65, linewidth=0)
        shown = name if len(name) <= 40 else f"{name[:39]}…"
        axes.text(-0.05, row, shown, fontsize=5.5, ha="right", va="center")
        for number, (begin, end) in enumerate(zip(clock.edges[:-1], clock.seen, strict=True)):
            if last := [value for time, value in points if begin <= time <= end]:
                word = panel.words[round(last[-1])][0] if panel.words else spoken(last[-1], panel.unit)
                axes.text(number + 0.5, row, word, fontsize=5.5, ha="center", va="center")
    axes.set_ylim(-0.6, max(len(found[-most:]), 3) - 0.4)
    axes.set_yticks([])


def heat(axes, panel, found, clock):
    """Each bucket's own share: Prometheus's are cumulative."""
    rows = sorted((float(name.replace("+Inf", "inf")), dict(points)) for name, points in found)
    times = sorted({time for _, points in rows for time in points})
    below, cells = dict.fromkeys(times, 0.0), []
    for _, points in rows:
        cells.append([max(points.get(time, 0) - below[time], 0) or math.nan for time in times])
        below = {time: points.get(time, 0) for time in times}
    if times:
        axes.pcolormesh(
            [clock(time) for time in times], range(len(rows)), cells, cmap="Oranges", norm=LogNorm(), shading="nearest"
        )
        few = range(0, len(rows), 2)
        axes.set_yticks(few, [spoken(rows[row][0], "s") for row in few], fontsize=4)


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


def draw(path, prometheus, start, end, began, seen, boards=BOARDS):
    """Draws the time from `start` to `end`; `began` has the phases and when each began, `seen` when each was shown."""
    layout = list(placed(boards))
    tall = max(top + panel.height for panel, top, _, _ in layout) + 2
    figure = plt.figure(figsize=(WIDTH * UNIT, tall * UNIT / 2), dpi=100)
    clock = Clock(began.values(), seen.values(), end)
    for panel, top, x, heading in layout:
        # A stat has its names to the left of it; a line has them below.
        stat = panel.kind not in ("heatmap", "timeseries")
        names = panel.width * (0.42 if panel.kind == "table" else 0.34)
        left, below = (min(names, 4.2) if stat else 1.5), (2 if stat else 3)
        place = (
            (x + left) / WIDTH,
            1 - (top + panel.height + 0.4 - (0 if stat else 1)) / tall,
            (panel.width - left - 0.3) / WIDTH,
            (panel.height - below) / tall,
        )
        axes = figure.add_axes(place)
        found = []
        for query in panel.queries:
            found += [
                (name_of(query.legend, labels), points)
                for labels, points in prometheus.over(query.expr, start, end, STEP)
            ]
        if panel.kind == "heatmap":
            heat(axes, panel, found, clock)
        elif panel.kind == "timeseries":
            lines(axes, panel, found, clock)
        else:
            bands(axes, panel, found, clock)
        figure.text((x + 0.3) / WIDTH, place[1] + place[3] + 0.35 / tall, panel.title, fontsize=7.5, weight="bold")
        axes.set_xlim(0, clock.phases)
        axes.set_xticks([number + 0.5 for number in range(clock.phases)], range(1, clock.phases + 1), fontsize=5)
        axes.tick_params(axis="x", length=0, pad=1)
        axes.tick_params(axis="y", labelsize=5)
        for number in range(1, clock.phases):
            axes.axvline(number, color="black", linewidth=0.3)
        if heading:
            figure.text(0.01, 1 - (top + 0.9) / tall, heading, fontsize=11, weight="bold")
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(began, 1))
    figure.text(0.99, 1 - 0.9 / tall, legend, fontsize=8, ha="right")
    figure.savefig(path)
    # A few colours are all there are.
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
