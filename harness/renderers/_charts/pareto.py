"""Size against latency, with memory and accuracy as further channels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core import units
from harness.core.types import CaseReport, Report
from harness.renderers import _view as view
from harness.renderers._charts.shared import (
    WIDE,
    Chart,
    axis_label,
    short,
    tip,
)
from harness.renderers._svg import Drawing, Theme, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pareto(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Size against latency (or instructions, where time is not told): area is peak RSS, colour
    accuracy, the line the front, the shade what no budget allows."""
    cost = "latency" if any(view.point(r.case, "latency") for r in rows) else "instructions"
    shown = [r for r in rows if view.point(r.case, "size") and view.point(r.case, cost)]
    if not shown:
        return []
    labels = view.labels_of(report)
    extremes = {
        "smallest": min(shown, key=lambda r: view.point(r.case, "size") or 0),
        "fastest": min(shown, key=lambda r: view.point(r.case, cost) or 0),
    }
    told = ", ".join(f"{word} is {labels[r.case.case.id]}" for word, r in extremes.items())
    return [
        Chart(
            key="pareto",
            group="overview",
            title=f"Size against {view.title(cost)}",
            caption="Down and to the left is better. The line joins what nothing else beats in "
            "both. Budgets are dashed; the shade lies outside of them. Bars are intervals.",
            alt=f"Scatter chart of {len(shown)} cases, size against {view.title(cost)}: {told}.",
            draw=lambda theme: _draw_pareto(report, shown, cost, labels, theme),
        )
    ]


def _draw_pareto(
    report: Report, rows: list[view.Row], cost: str, labels: dict[str, str], theme: Theme
) -> Drawing:
    figure, ax = axes(theme, WIDE, (62, 24, 46, 48))
    cases = [r.case for r in rows]
    found = [(view.measured(c, "size"), view.measured(c, cost)) for c in cases]
    xs = [m.point or 0.0 for m, _ in found if m]
    ys = [m.point or 0.0 for _, m in found if m]
    xscale = units.column_scale("size", "bytes", xs)
    yunit = found[0][1].unit if found[0][1] else "ns"
    yscale = units.column_scale(cost, yunit, ys)
    xs, ys = [x / xscale.divisor for x in xs], [y / yscale.divisor for y in ys]
    _log(ax, xs, ys, theme)
    _budgets(report, ax, {"size": xscale, cost: yscale}, theme)
    _front(ax, list(zip(xs, ys, strict=True)), theme)
    for case, x in zip(cases, xs, strict=True):
        estimate = (m := view.measured(case, cost)) and m.estimate
        if estimate:
            low, high = estimate.ci_low / yscale.divisor, estimate.ci_high / yscale.divisor
            ax.plot([x, x], [low, high], color=theme.ink, lw=1.2, zorder=2)
    colours, key = _accuracy_colours(cases, theme)
    areas, biggest = _areas(cases)
    ax.scatter(xs, ys, s=areas, c=colours, edgecolors=theme.ink, linewidths=1.1, zorder=3,
               gid="points")  # fmt: skip
    _name_points(ax, rows, list(zip(xs, ys, strict=True)), labels, theme)
    ax.set_xlabel(axis_label("size", xscale), color=theme.muted)
    ax.set_ylabel(axis_label(cost, yscale), color=theme.muted)
    _pareto_key(ax, key, biggest, theme)
    tips = [tip(labels[c.case.id], c, ("size", cost, "peak_rss", "accuracy")) for c in cases]
    return Drawing(figure, {"points": tips})


def _log(ax: Axes, xs: Sequence[float], ys: Sequence[float], theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(min(xs) / 1.8, max(xs) * 2.2)
    ax.set_ylim(min(ys) / 1.8, max(ys) * 2.2)
    for axis, values in ((ax.xaxis, xs), (ax.yaxis, ys)):
        decades = max(values) / min(values)
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if decades < 300 else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.grid(color=theme.grid, lw=0.8)


def _budgets(report: Report, ax: Axes, scales: dict[str, units.Scale], theme: Theme) -> None:
    for budget in report.verdict.budgets if report.verdict else ():
        across = budget.metric == "size"
        name = "latency" if budget.metric.startswith("latency") else budget.metric
        if name not in scales:
            continue
        limit = budget.limit / scales[name].divisor
        low, high = ax.get_xlim() if across else ax.get_ylim()
        # Log axes have no zero: a budget of nothing shades everything.
        edge = min(max(limit, low), high)
        span, line = (ax.axvspan, ax.axvline) if across else (ax.axhspan, ax.axhline)
        span(edge, high, color=theme.bad, alpha=0.07, lw=0, zorder=0)
        if low < limit < high:
            line(limit, color=theme.bad, lw=1.2, ls=(0, (5, 3)), zorder=1)
            text = units.printable(budget.text)
            if across:
                ax.annotate(text, (limit, 0), (4, 6), xycoords=("data", "axes fraction"),
                            textcoords="offset points", color=theme.bad, fontsize=10)  # fmt: skip
            else:
                ax.annotate(text, (1, limit), (-2, 4), xycoords=("axes fraction", "data"),
                            textcoords="offset points", color=theme.bad, fontsize=10,
                            ha="right")  # fmt: skip


def _front(ax: Axes, points: Sequence[tuple[float, float]], theme: Theme) -> None:
    best = _front_of(points)
    if len(best) > 1:
        ax.step(*zip(*best, strict=True), where="post", color=theme.good, lw=1.6, alpha=0.8)


def _accuracy_colours(
    cases: Sequence[CaseReport], theme: Theme
) -> tuple[list[str], tuple[float, float] | None]:
    """A colour per case, and the accuracies at both ends of the scale."""
    values = [view.point(c, "accuracy") for c in cases]
    known = [v for v in values if v is not None]
    if not known:
        return [theme.series[0]] * len(cases), None
    low, high = min(known), max(known)
    steps = len(theme.scale) - 1

    def colour(value: float | None) -> str:
        if value is None:
            return theme.surface
        return theme.scale[round((value - low) / (high - low) * steps) if high > low else steps]

    return [colour(v) for v in values], (low, high)


def _areas(cases: Sequence[CaseReport]) -> tuple[list[float], float | None]:
    """Areas in points^2, proportional to peak RSS; small dots where it is unknown."""
    values = [view.point(c, "peak_rss") for c in cases]
    most = max((v for v in values if v), default=None)
    if most is None:
        return [90.0] * len(cases), None
    return [max(40.0, 620 * v / most) if v else 40.0 for v in values], most


def _name_points(
    ax: Axes,
    rows: list[view.Row],
    points: Sequence[tuple[float, float]],
    labels: dict[str, str],
    theme: Theme,
) -> None:
    """Names beside their points, the best rows first; one that would cover another is left out,
    the tooltip has it."""
    taken = [_around(ax, x, y) for x, y in points] + _segments(ax, points)
    right_half = math.sqrt(ax.get_xlim()[0] * ax.get_xlim()[1])
    for row, (x, y) in zip(rows, points, strict=True):
        bold = row.mark == "recommended"
        name = f"{'★ ' if bold else ''}{short(labels[row.case.case.id])}"
        px, py = ax.transData.transform((x, y))
        left = x > right_half
        width = (7.4 if bold else 6.3) * len(name)
        for dy in (0, 14, -14, 28, -28, 42):
            box = (px - width - 16 if left else px + 16, py + dy - 6, width, 12)
            if not any(_overlap(box, other) for other in taken):
                break
        else:
            continue
        taken.append(box)
        ax.annotate(
            name,
            (x, y),
            (-16 if left else 16, dy),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=theme.good if bold else theme.ink,
            fontweight="bold" if bold else "normal",
            zorder=5,
        )


Box = tuple[float, float, float, float]  # left, bottom, width, height, in pixels


def _around(ax: Axes, x: float, y: float) -> Box:
    px, py = ax.transData.transform((x, y))
    return (px - 8, py - 8, 16, 16)


def _segments(ax: Axes, points: Sequence[tuple[float, float]]) -> list[Box]:
    """Where the front's line runs."""
    boxes: list[Box] = []
    front = [ax.transData.transform(point) for point in _front_of(points)]
    for (x0, y0), (x1, y1) in itertools.pairwise(front):
        boxes += [(x0, y0 - 1, x1 - x0, 2), (x1 - 1, y1, 2, y0 - y1)]
    return boxes


def _front_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats in both, from left to right."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not best or y < best[-1][1]:
            best.append((x, y))
    return best


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _pareto_key(
    ax: Axes, accuracies: tuple[float, float] | None, biggest: float | None, theme: Theme
) -> None:
    """What colour and area mean, above the chart."""
    width, height = WIDE
    x = 62.0
    text: dict[str, Any] = {"color": theme.muted, "va": "center", "fontsize": 10}
    figure = ax.figure
    if accuracies is not None:
        figure.text(x / width, 1 - 16 / height, f"accuracy {accuracies[0]:.3f}", **text)
        x += 100
        for colour in theme.scale:
            figure.text(x / width, 1 - 16 / height, "█", color=colour, va="center", fontsize=10)
            x += 8
        figure.text((x + 5) / width, 1 - 16 / height, f"{accuracies[1]:.3f}", **text)
        x += 70
    if biggest is not None:
        said = f"area: peak RSS, up to {units.memory(biggest)}"
        figure.text(x / width, 1 - 16 / height, said, **text)
