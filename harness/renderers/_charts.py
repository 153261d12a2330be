"""The charts of a report. Each is a function from the report to figures, drawn when asked for.

Only what can be seen is drawn: a chart that has nothing to show is left out, and one that has
more cases than a reader can tell apart shows the first ones and says so in its caption.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core import units
from harness.core.types import Artifact, CaseReport, Report
from harness.renderers import _comparison as against
from harness.renderers import _view as view
from harness.renderers._svg import MARKERS, Drawing, Theme, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CASES = 30  # in charts with a row or a panel per case
MOST_LINES = len(MARKERS)  # in charts with a colour per case
NAME = 26  # letters of a name in a chart

Wide = (560, 390)
Panel = (310, 185)


class Chart(NamedTuple):
    """One chart. `key` is its file name; `alt` says what is to be seen; `group` puts panels of
    one kind together."""

    key: str
    group: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Theme], Drawing]


def charts_of(report: Report) -> list[Chart]:
    """All charts there is something to draw in, in reading order."""
    rows = view.rows_of(report)
    return [
        *forest(report),
        *pareto(report, rows),
        *memory(report, rows),
        *accuracy(report, rows),
        *weights(report),
        *timelines(report, rows),
        *distributions(report, rows),
        *layers(report),
    ]


# --- size against latency --------------------------------------------------------------------


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
    figure, ax = axes(theme, Wide, (62, 24, 46, 48))
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
    ax.set_xlabel(_axis("size", xscale), color=theme.muted)
    ax.set_ylabel(_axis(cost, yscale), color=theme.muted)
    _pareto_key(ax, key, biggest, theme)
    tips = [_tip(labels[c.case.id], c, ("size", cost, "peak_rss", "accuracy")) for c in cases]
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
    verdict = view.verdict_of(report)
    for budget in verdict.budgets if verdict else ():
        if budget.limit is None:
            continue
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
        name = _name(labels[row.case.case.id])
        px, py = ax.transData.transform((x, y))
        left = x > right_half
        width = 6.3 * len(name)
        for dy in (0, 14, -14, 28, -28):
            box = (px - width - 16 if left else px + 16, py + dy - 6, width, 12)
            if not any(_overlap(box, other) for other in taken):
                break
        else:
            continue
        taken.append(box)
        bold = row.mark == "recommended"
        ax.annotate(
            f"★ {name}" if bold else name,
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
    width, height = Wide
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


# --- bars and intervals, a row per case ------------------------------------------------------


def memory(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Anonymous and file-backed memory stacked, the arena inside, peak RSS as a mark."""
    usable = [r for r in rows if view.point(r.case, "peak_rss")]
    if not usable:
        return []
    shown, note = _first(usable)
    return [
        Chart(
            key="memory",
            group="overview",
            title="Memory",
            caption="Resident memory at its peak: anonymous (buffers, and weights that were "
            f"unpacked) and file-backed (the model file, libraries). {note}",
            alt=_ranking("peak RSS", report, usable, "peak_rss"),
            draw=lambda theme: _draw_memory(report, shown, theme),
        )
    ]


def _draw_memory(report: Report, rows: list[view.Row], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = _rows_axes(theme, [_name(labels[r.case.case.id]) for r in rows])
    peaks = [view.point(r.case, "peak_rss") or 0.0 for r in rows]
    scale = units.column_scale("peak_rss", "bytes", peaks)
    tips: dict[str, str | Sequence[str]] = {}
    parts = (
        ("rss_anon", "anonymous", theme.series[0]),
        ("rss_file", "file-backed", theme.pale),
    )
    for i, row in enumerate(rows):
        start = 0.0
        tip = _tip(labels[row.case.case.id], row.case, ("peak_rss", "rss_anon", "rss_file"))
        for metric, _, colour in parts:
            value = (view.point(row.case, metric) or 0.0) / scale.divisor
            (bar,) = ax.barh([i], [value], left=start, height=0.62, color=colour)
            bar.set_gid(f"{metric}-{i}")
            tips[f"{metric}-{i}"] = tip
            start += value
        peak = peaks[i] / scale.divisor
        ax.plot([peak, peak], [i - 0.4, i + 0.4], color=theme.ink, lw=2)
        ax.annotate(scale.show(peaks[i]), (max(peak, start), i), (6, 0), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
    ax.set_xlim(0, max(peaks) / scale.divisor * 1.14)
    ax.set_xlabel(_axis("peak_rss", scale), color=theme.muted)
    _key(ax, [*((name, colour) for _, name, colour in parts), ("| peak RSS", theme.ink)], theme)
    return Drawing(figure, tips)


def accuracy(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Accuracy with its interval."""
    usable = [r for r in rows if view.point(r.case, "accuracy") is not None]
    if not usable:
        return []
    shown, note = _first(usable)
    return [
        Chart(
            key="accuracy",
            group="overview",
            title="Accuracy",
            caption=f"On the test split, with the interval. {note}",
            alt=_ranking("accuracy", report, usable, "accuracy"),
            draw=lambda theme: _draw_accuracy(report, shown, theme),
        )
    ]


def _draw_accuracy(report: Report, rows: list[view.Row], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = _rows_axes(theme, [_name(labels[r.case.case.id]) for r in rows])
    tips: dict[str, str | Sequence[str]] = {}
    for i, row in enumerate(rows):
        m = view.measured(row.case, "accuracy")
        if m is None or m.point is None:
            continue
        if m.estimate:
            ax.plot([m.estimate.ci_low, m.estimate.ci_high], [i, i], color=theme.series[0], lw=5,
                    alpha=0.35, solid_capstyle="round")  # fmt: skip
        ax.plot([m.point], [i], "o", color=theme.series[0], ms=8, gid=f"accuracy-{i}")
        ax.annotate(f"{m.point:.3f}", (1, i), (6, 0), xycoords=("axes fraction", "data"),
                    va="center", textcoords="offset points", color=theme.ink)  # fmt: skip
        tips[f"accuracy-{i}"] = _tip(labels[row.case.case.id], row.case, ("accuracy", "auc"))
    for budget in verdict.budgets if (verdict := view.verdict_of(report)) else ():
        if budget.metric == "accuracy" and budget.limit is not None:
            ax.axvline(budget.limit, color=theme.bad, lw=1.2, ls=(0, (5, 3)))
    ax.set_xlabel("accuracy", color=theme.muted)
    return Drawing(figure, tips)


def _rows_axes(theme: Theme, shown: Sequence[str]) -> tuple[Any, Axes]:
    """Axes with one row per name, which must be short, the first at the top."""
    left = 18 + int(6.4 * max(map(len, shown)))
    figure, ax = axes(theme, (Wide[0], 92 + 30 * len(shown)), (left, 58, 34, 46))
    ax.set_yticks(range(len(shown)), shown, color=theme.ink)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.grid(axis="x", color=theme.grid, lw=0.8)
    return figure, ax


# --- how latency was distributed -------------------------------------------------------------


def distributions(report: Report, rows: list[view.Row]) -> list[Chart]:
    """A panel per case: every launch's iterations, the point and its interval."""
    usable = [r for r in rows if any(x.latency_ns for x in r.case.launches)]
    shown, note = _first(usable)
    labels = view.labels_of(report)

    def chart(i: int, row: view.Row) -> Chart:
        m = row.case.metrics.get("latency")
        name = labels[row.case.case.id]
        return Chart(
            key=f"latency-{i + 1:02d}",
            group="distributions",
            title=name,
            caption=note if i == 0 else "",
            alt=f"Latency of {name} by launch: {units.with_interval('latency', m)}.",
            draw=lambda theme: _draw_distribution(row.case, theme),
        )

    return [chart(i, row) for i, row in enumerate(shown)]


def _draw_distribution(case: CaseReport, theme: Theme) -> Drawing:
    figure, ax = axes(theme, Panel, (46, 10, 14, 36))
    launches = [x for x in case.launches if x.latency_ns]
    scale = units.column_scale("latency", "ns", (n for x in launches for n in x.latency_ns))
    xs = [x.index + 1 for x in launches]
    spreads = [_five(x.latency_ns, scale.divisor) for x in launches]
    whole = case.metrics.get("latency")
    if whole is not None and whole.point is not None:
        if whole.estimate:
            low, high = whole.estimate.ci_low, whole.estimate.ci_high
            ax.axhspan(
                low / scale.divisor, high / scale.divisor, color=theme.good, alpha=0.16, lw=0
            )
        ax.axhline(whole.point / scale.divisor, color=theme.good, lw=1.2)
    ax.vlines(xs, [s[0] for s in spreads], [s[4] for s in spreads], color=theme.series[0], lw=1.4)
    ax.vlines(xs, [s[1] for s in spreads], [s[3] for s in spreads], color=theme.series[0], lw=5,
              alpha=0.5)  # fmt: skip
    ax.scatter(xs, [s[2] for s in spreads], s=30, color=theme.series[0], edgecolors=theme.surface,
               linewidths=0.8, zorder=3, gid="medians")  # fmt: skip
    ax.set_xlabel("launch", color=theme.muted)
    ax.set_ylabel(scale.label, color=theme.muted)
    _whole_ticks(ax, xs)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    tips = [
        f"launch {x.index + 1}: median {units.duration(s[2] * scale.divisor)}, "
        f"middle half {units.duration(s[1] * scale.divisor)} to "
        f"{units.duration(s[3] * scale.divisor)}, {len(x.latency_ns)} iterations"
        for x, s in zip(launches, spreads, strict=True)
    ]
    return Drawing(figure, {"medians": tips})


def _five(values: Sequence[int], divisor: float) -> tuple[float, float, float, float, float]:
    """5 %, 25 %, 50 %, 75 % and 95 % of one launch's iterations, for the eye."""
    ordered = sorted(values)
    last = len(ordered) - 1
    a, b, d, e = (ordered[round(last * share)] / divisor for share in (0.05, 0.25, 0.75, 0.95))
    return a, b, statistics.median(ordered) / divisor, d, e


def _whole_ticks(ax: Axes, xs: Sequence[int]) -> None:
    step = max(1, -(-len(xs) // 10))
    ax.set_xticks(list(xs)[::step])
    ax.set_xlim(min(xs) - 0.7, max(xs) + 0.7)


# --- the order of measurement ----------------------------------------------------------------


def timelines(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Per device: launches in the order of measurement, each relative to its case's median, so
    that what hits all cases at once (drift, throttling, another process) is seen."""
    made = []
    for number, device in enumerate(dict.fromkeys(r.case.device for r in rows)):
        cases = [r.case for r in rows if r.case.device == device]
        cases = [c for c in cases if sum(bool(x.latency_ns) for x in c.launches) > 1]
        if cases:
            made.append(_timeline(report, number, device, cases))
    return made


def _timeline(report: Report, number: int, device: str, cases: list[CaseReport]) -> Chart:
    note = "" if len(cases) <= MOST_LINES else f"The first {MOST_LINES} of {len(cases)} in colour."
    return Chart(
        key=f"timeline-{number + 1}",
        group="overview",
        title=f"Order of measurement on {units.name(device)}",
        caption="Every launch against its own case's median. What moves all cases at once is the "
        f"machine, not the model. {note}",
        alt=f"Launch medians relative to their case in the order of measurement, "
        f"{len(cases)} cases.",
        draw=lambda theme: _draw_timeline(report, cases, theme),
    )


def _draw_timeline(report: Report, cases: list[CaseReport], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = axes(theme, (Wide[0], 300 + 18 * -(-min(len(cases), MOST_LINES) // 3)),
                      (62, 24, 20 + 18 * -(-min(len(cases), MOST_LINES) // 3), 48))  # fmt: skip
    tips: dict[str, str | Sequence[str]] = {}
    key = []
    for i, case in enumerate(cases):
        launches = sorted((x for x in case.launches if x.latency_ns), key=lambda x: x.order)
        medians = [statistics.median(x.latency_ns) for x in launches]
        whole = statistics.median(medians)
        many = i >= MOST_LINES
        colour = theme.grid if many else theme.series[i]
        xs, ys = [x.order + 1 for x in launches], [100 * (m / whole - 1) for m in medians]
        ax.plot(xs, ys, color=colour, lw=1, alpha=0.6, zorder=1 if many else 2)
        ax.scatter(xs, ys, s=10 if many else 34, marker=MARKERS[i % len(MARKERS)], color=colour,
                   zorder=1 if many else 3, gid=f"launches-{i}")  # fmt: skip
        name = labels[case.case.id]
        tips[f"launches-{i}"] = [
            f"{name}, launch {x.index + 1}: {units.duration(m)} ({y:+.1f} %){_heat(x)}"
            for x, m, y in zip(launches, medians, ys, strict=True)
        ]
        if not many:
            key.append((name, colour, MARKERS[i]))
    ax.axhline(0, color=theme.muted, lw=1)
    ax.set_xlabel("order of measurement", color=theme.muted)
    ax.set_ylabel("from the case's median, %", color=theme.muted)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    _marker_key(ax, key, theme)
    return Drawing(figure, tips)


def _heat(launch: Any) -> str:
    after = launch.after
    if after is None:
        return ""
    said = []
    if after.temperature_c is not None:
        said.append(f"{after.temperature_c:.0f} °C")
    if after.thermal_status:
        said.append(f"thermal status {after.thermal_status}")
    return f", {', '.join(said)}" if said else ""


# --- what the file is made of ----------------------------------------------------------------


def weights(report: Report) -> list[Chart]:
    """The file's bytes by type of weights, a row per artifact."""
    usable = [a for a in report.artifacts if a.weight_bytes]
    if not usable:
        return []
    shown = usable[:MOST_CASES]
    note = "" if len(shown) == len(usable) else f"The first {len(shown)} of {len(usable)}."
    return [
        Chart(
            key="size",
            group="overview",
            title="What the files are made of",
            caption=f"Bytes of weights by type; the rest is the graph and its metadata. {note}",
            alt="Bars of file size by type of weights: "
            + "; ".join(f"{units.name(a.variant)} {units.file_size(a.size_bytes)}" for a in shown),
            draw=lambda theme: _draw_weights(shown, theme),
        )
    ]


def _draw_weights(artifacts: Sequence[Artifact], theme: Theme) -> Drawing:
    figure, ax = _rows_axes(theme, [_name(units.name(a.variant)) for a in artifacts])
    scale = units.column_scale("size", "bytes", (a.size_bytes for a in artifacts))
    types = list(dict.fromkeys(t for a in artifacts for t in a.weight_bytes))
    colours = {t: theme.series[i % len(theme.series)] for i, t in enumerate(types)}
    tips: dict[str, str | Sequence[str]] = {}
    for i, artifact in enumerate(artifacts):
        start = 0.0
        rest = max(0, artifact.size_bytes - sum(artifact.weight_bytes.values()))
        for kind, size in [*artifact.weight_bytes.items(), ("other", rest)]:
            width = size / scale.divisor
            (bar,) = ax.barh([i], [width], left=start, height=0.62,
                             color=colours.get(kind, theme.grid))  # fmt: skip
            bar.set_gid(f"weights-{i}-{kind}")
            tips[f"weights-{i}-{kind}"] = (
                f"{units.name(artifact.variant)}: {kind} {units.file_size(size)}"
            )
            start += width
        ax.annotate(scale.show(artifact.size_bytes), (start, i), (6, 0), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
    most = max(a.size_bytes for a in artifacts) / scale.divisor
    ax.set_xlim(0, most * 1.14)
    ax.set_xlabel(_axis("size", scale), color=theme.muted)
    _key(ax, [*colours.items(), ("other", theme.grid)], theme)
    return Drawing(figure, tips)


def layers(report: Report, most: int = 7) -> list[Chart]:
    """A panel per artifact: its largest layers."""
    usable = [a for a in report.artifacts if a.layers][:MOST_CASES]
    return [
        Chart(
            key=f"layers-{i + 1:02d}",
            group="layers",
            title=units.name(artifact.variant),
            caption="",
            alt=f"Largest layers of {units.name(artifact.variant)}: "
            + ", ".join(
                f"{units.printable(x.name)} {units.file_size(x.size_bytes)}"
                for x in _largest(artifact, 3)
            ),
            draw=functools.partial(_draw_layers, artifact, most),
        )
        for i, artifact in enumerate(usable)
    ]


def _largest(artifact: Artifact, most: int) -> list[Any]:
    return sorted(artifact.layers, key=lambda x: -x.size_bytes)[:most]


def _draw_layers(artifact: Artifact, most: int, theme: Theme) -> Drawing:
    largest = _largest(artifact, most)
    rest = sum(x.size_bytes for x in artifact.layers) - sum(x.size_bytes for x in largest)
    bars = [(x.name, x.size_bytes, f"{x.name} ({x.op}): {x.parameters:,} parameters, ")
            for x in largest]  # fmt: skip
    if rest > 0:
        bars.append((f"{len(artifact.layers) - len(largest)} others", rest, ""))
    scale = units.column_scale("size", "bytes", (size for _, size, _ in bars))
    figure, ax = axes(theme, (Panel[0], 30 + 22 * len(bars)), (132, 52, 6, 10))
    tips: dict[str, str | Sequence[str]] = {}
    for i, (_, size, said) in enumerate(bars):
        (bar,) = ax.barh([i], [size / scale.divisor], height=0.66, color=theme.series[0])
        bar.set_gid(f"layer-{i}")
        tips[f"layer-{i}"] = units.printable(f"{said}{units.file_size(size)}")
        shown = f"{scale.show(size)} {scale.label}"
        ax.annotate(shown, (size / scale.divisor, i), (5, 0), textcoords="offset points",
                    va="center", color=theme.ink, fontsize=10)  # fmt: skip
    ax.set_yticks(range(len(bars)), [_tail(n) for n, _, _ in bars], fontsize=10)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    return Drawing(figure, tips)


def _tail(name: str) -> str:
    name = units.printable(name)
    return name if len(name) <= 20 else f"…{name[-19:]}"


# --- against a baseline ----------------------------------------------------------------------


def forest(report: Report) -> list[Chart]:
    """The ratios to the baseline with their intervals, what needs a look first."""
    lines = [x for x in against.lines_of(report) if x.raw.ratio]
    if report.comparison is None or not lines:
        return []
    shown = lines[:MOST_CASES]
    note = "" if len(shown) == len(lines) else f"The first {len(shown)} of {len(lines)}."
    allowed = report.comparison.max_regression
    return [
        Chart(
            key="baseline",
            group="baseline",
            title="Ratio to the baseline",
            caption="Candidate over baseline with its interval; the band is what is allowed. An "
            f"outcome is claimed only if the whole interval agrees. {note}",
            alt=f"Forest plot: {against.summary(report.comparison)}.",
            draw=lambda theme: _draw_forest(shown, allowed, theme),
        )
    ]


def _draw_forest(lines: list[against.Line], allowed: float, theme: Theme) -> Drawing:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    colours = {"regression": theme.bad, "inconclusive": theme.doubt, "improvement": theme.good}
    shapes = {"regression": "s", "inconclusive": "D", "improvement": "o"}
    figure, ax = _rows_axes(theme, [f"{_name(x.label)}, {x.metric}" for x in lines])
    tips: dict[str, str | Sequence[str]] = {}
    ax.axvspan(1 - allowed, 1 + allowed, color=theme.muted, alpha=0.12, lw=0)
    ax.axvline(1, color=theme.muted, lw=1)
    for i, x in enumerate(lines):
        m = x.raw
        colour = colours.get(x.outcome, theme.muted)
        if m.ci_low is not None and m.ci_high is not None:
            ax.plot([m.ci_low, m.ci_high], [i, i], color=colour, lw=2)
        ax.plot([m.ratio or 1.0], [i], shapes.get(x.outcome, "|"), color=colour, ms=8,
                gid=f"ratio-{i}")  # fmt: skip
        ax.annotate(x.ratio, (1, i), (6, 0), xycoords=("axes fraction", "data"), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
        tips[f"ratio-{i}"] = (
            f"{x.label}, {x.metric}: {x.baseline} to {x.candidate}, ratio {x.ratio} ({x.range}), "
            f"{x.outcome}"
        )
    ends = [v for x in lines for v in (x.raw.ratio, x.raw.ci_low, x.raw.ci_high) if v]
    low, high = min([*ends, 1 - allowed]), max([*ends, 1 + allowed])
    ax.set_xscale("log")
    ax.set_xlim(max(low, 1e-3) / 1.03, high * 1.03)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    ax.set_xlabel("candidate / baseline", color=theme.muted)
    return Drawing(figure, tips)


# --- shared ----------------------------------------------------------------------------------


def _first(rows: list[view.Row]) -> tuple[list[view.Row], str]:
    shown = rows[:MOST_CASES]
    note = f"The first {len(shown)} of {len(rows)}; the table has all."
    return shown, "" if len(shown) == len(rows) else note


def _ranking(what: str, report: Report, rows: list[view.Row], metric: str) -> str:
    labels = view.labels_of(report)
    said = [
        f"{labels[r.case.case.id]} {units.with_interval(metric, r.case.metrics.get(metric))}"
        for r in rows[:8]
    ]
    return f"Chart of {what}: {'; '.join(said)}."


def _name(text: str) -> str:
    text = units.printable(text)
    if len(text) <= NAME:
        return text
    return f"{text[: NAME // 2 - 1]}…{text[-(NAME // 2) :]}"


def _axis(metric: str, scale: units.Scale) -> str:
    label = "" if scale.label in ("ratio", "count") else f", {scale.label}"
    return f"{view.title(metric)}{label}"


def _tip(label: str, case: CaseReport, metrics: Sequence[str]) -> str:
    parts = [
        f"{view.title(m)} {units.with_interval(m, found)}"
        for m in metrics
        if (found := view.measured(case, m)) is not None
    ]
    return f"{label}: {', '.join(parts)}"


def _key(ax: Axes, entries: Sequence[tuple[str, str]], theme: Theme) -> None:
    """Coloured squares with their names, above the chart."""
    _marker_key(ax, [(name, colour, "s") for name, colour in entries], theme)


def _marker_key(ax: Axes, entries: Sequence[tuple[str, str, str]], theme: Theme) -> None:
    figure: Any = ax.figure
    width, height = (size * 72 for size in figure.get_size_inches())
    per_row = 3 if any(len(n) > 14 for n, _, _ in entries) else 4
    step = (width - 84) / per_row
    for i, (name, colour, marker) in enumerate(entries):
        row, column = divmod(i, per_row)
        x, y = (70 + column * step) / width, 1 - (14 + 18 * row) / height
        if not name.startswith("| "):
            point = figure.add_artist(_dot(x, y, marker, colour))
            point.set_zorder(4)
            figure.text(x + 10 / width, y, _name(name), color=theme.muted, va="center", fontsize=10)
        else:
            figure.text(x, y, f"│ {name[2:]}", color=theme.muted, va="center", fontsize=10)


def _dot(x: float, y: float, marker: str, colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, color=colour, ms=7, ls="")
