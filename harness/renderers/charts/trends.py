"""A metric over many runs, with its intervals and changes."""

from __future__ import annotations

from statistics import median

from harness.analysis.metric_specs import quantity, shown
from harness.core import units
from harness.core.text import count
from harness.renderers.charts.shared import HALF, SMALL, Chart, axis_label, tick_text
from harness.renderers.svg import Drawing, Theme, axes
from harness.stats.trend import Change, Trend

MOST_POINTS = 400  # with an interval each; of longer trends the last ones are drawn


def trend(found: Trend, number: int) -> Chart:
    """One chart; `number` makes its key unique."""
    points = found.points[-MOST_POINTS:]
    note = "" if len(points) == len(found.points) else f"The last {len(points)} runs. "
    said = count(len(found.changes), "change") if found.changes else "no change"
    runs = count(len(found.points), "run")
    return Chart(
        key=f"trend-{number}",
        group="trend",
        title=f"{units.name(found.variant)} on {units.name(found.device)}",
        caption=f"{note}{units.printable(found.setting)}, {runs}, {said}.",
        alt=f"{runs} of {units.name(found.variant)}, {said}; the last is "
        f"{shown(found.metric, points[-1].value, found.unit)}.",
        draw=lambda theme, width: _draw(found, theme, width),
        told=True,
    )


def _draw(found: Trend, theme: Theme, width: int) -> Drawing:
    from matplotlib.ticker import FuncFormatter

    first = max(0, len(found.points) - MOST_POINTS)
    points = found.points[first:]
    scale = units.column_scale(quantity(found.metric, found.unit), (p.value for p in points))
    counted = scale.label == "count"
    figure, ax = axes(theme, (width, 300), (96 if counted else 64, 18, 16, 50))
    xs = range(first, len(found.points))
    ys = [p.value / scale.divisor for p in points]
    bars = [
        (x, p.ci_low / scale.divisor, p.ci_high / scale.divisor)
        for x, p in zip(xs, points, strict=True)
        if p.ci_low is not None and p.ci_high is not None
    ]
    if bars:
        ax.vlines(*zip(*bars, strict=True), color=theme.series[0], lw=1.4, alpha=0.5)
    for start, end in found.segments:
        if end > first:
            level = median(p.value for p in found.points[start:end]) / scale.divisor
            ax.hlines(level, max(start, first) - 0.5, end - 0.5, color=theme.muted, lw=1.2)
    for change in found.changes:
        if change.at > first:
            ax.axvline(change.at - 0.5, color=theme.doubt, lw=1.2, ls=(0, (5, 3)))
            ax.annotate(ratio_text(found, change), (change.at - 0.5, 1), (4, -10),
                        xycoords=("data", "axes fraction"), textcoords="offset points",
                        color=theme.doubt, fontsize=SMALL)  # fmt: skip
    ax.scatter(xs, ys, s=30, color=theme.series[0], edgecolors=theme.surface, linewidths=0.8,
               zorder=3, gid="runs")  # fmt: skip
    if counted:
        ax.yaxis.set_major_formatter(FuncFormatter(tick_text(scale, ys)))
    ax.set_ylabel(axis_label(found.metric, scale), color=theme.muted)
    most = width // (115 if width >= HALF else 90)
    ticks = list(xs)[:: max(1, -(-len(points) // most))]
    days = {p.started_at[:10] for p in points}
    shown = slice(11, 16) if len(days) == 1 else slice(10)
    ax.set_xticks(ticks, [units.printable(found.points[i].started_at[shown]) for i in ticks])
    if len(days) == 1:
        ax.set_xlabel(units.printable(f"{days.pop()}, UTC"), color=theme.muted)
    ax.set_xlim(first - 0.7, len(found.points) - 0.3)
    ax.margins(y=0.15)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    tips = [
        f"{units.printable(p.run_id)}, {units.moment(p.started_at)}: {value_text(found, i)}"
        for i, p in zip(xs, points, strict=True)
    ]
    return Drawing(figure, {"runs": tips})


def ratio_text(found: Trend, change: Change) -> str:
    """`1.12x`: the level after a change over the one before; of an exact trend with the digits
    that tell it from 1."""
    ratio = change.ratio
    if ratio is None:
        return "from nothing"
    return f"{ratio:.5f}x" if found.exact and abs(ratio - 1) < 0.01 else f"{ratio:.2f}x"


def value_text(found: Trend, index: int) -> str:
    """A point's value with its interval in words: `5.20 ms (5.10 ms to 5.31 ms)`."""
    p = found.points[index]
    text = shown(found.metric, p.value, found.unit)
    if p.ci_low is None or p.ci_high is None:
        return text
    low, high = (shown(found.metric, v, found.unit) for v in (p.ci_low, p.ci_high))
    return f"{text} ({low} to {high})"
