"""What the launches were like, one by one and in the order of measurement."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.core import units
from harness.core.types import CaseReport, Launch, OpTime
from harness.renderers.cases import Row
from harness.renderers.charts.shared import MOST_CASES, Bar, Chart, draw_bars, first, not_shown
from harness.renderers.svg import Drawing, Theme, axes
from harness.renderers.view import View
from harness.stats.summaries import launch_median

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def distributions(view: View, rows: list[Row]) -> list[Chart]:
    """A panel per case: every launch's iterations, the point and its interval."""
    usable = [r for r in rows if any(map(launch_median, r.case.launches))]
    shown, note = first(usable)
    labels = view.labels

    def labels_of(row: Row) -> dict[int, str]:
        noise = view.noise.get(row.case.case.id)
        return {x.launch: x.label for x in noise.outliers} if noise else {}

    def chart(i: int, row: Row) -> Chart:
        m = row.case.metrics.get("latency")
        name = labels[row.case.case.id]
        return Chart(
            key=f"latency-{i + 1:02d}",
            group="distributions",
            title=name + view.emulated([row.case.device]),
            caption="",
            alt=f"Latency of {name} by launch: {units.with_interval(m, 'time')}.",
            draw=lambda theme, width: _draw_distribution(row.case, labels_of(row), theme, width),
            note=note,
            told=True,
        )

    return [chart(i, row) for i, row in enumerate(shown)]


def _draw_distribution(
    case: CaseReport, outlying: Mapping[int, str], theme: Theme, width: int
) -> Drawing:
    figure, ax = axes(theme, (width, 200), (68, 8, 12, 42))
    launches = [x for x in case.launches if launch_median(x)]
    scale = units.column_scale("time", map(_median, launches))
    xs = [x.index + 1 for x in launches]
    spreads = [[v / scale.divisor for v in _five(x)] for x in launches]
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
    far = [i for i, x in enumerate(launches) if x.index in outlying]
    if far:
        ax.scatter([xs[i] for i in far], [spreads[i][2] for i in far], s=110, facecolors="none",
                   edgecolors=theme.doubt, linewidths=1.6, zorder=2, gid="outliers")  # fmt: skip
    ax.set_xlabel("launch", color=theme.muted)
    ax.set_ylabel(scale.label, color=theme.muted)
    _whole_ticks(ax, xs)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    return Drawing(figure, {"medians": [_tooltip(x, outlying.get(x.index, "")) for x in launches]})


def _median(launch: Launch) -> float:
    return launch_median(launch) or 0.0


def _five(launch: Launch) -> tuple[float, float, float, float, float]:
    """5 %, 25 %, 50 %, 75 % and 95 % of a launch's iterations in ns, for drawing; of a launch that
    reports only a summary, what that has."""
    if launch.latency_ns:
        ordered = sorted(launch.latency_ns)
        last = len(ordered) - 1
        a, b, d, e = (ordered[round(last * share)] for share in (0.05, 0.25, 0.75, 0.95))
        return a, b, _median(launch), d, e
    middle, summary = _median(launch), launch.latency_summary
    if summary is None:
        return middle, middle, middle, middle, middle
    low = summary.p5_ns or summary.min_ns or middle
    high = summary.p95_ns or summary.max_ns or middle
    return low, middle, middle, middle, high


def _tooltip(launch: Launch, label: str) -> str:
    _, low, middle, high, _ = map(units.duration, _five(launch))
    text = f"launch {launch.index + 1}: median {middle}"
    if launch.latency_ns:
        text += f", middle half {low} to {high}, {len(launch.latency_ns)} iterations"
    text += f", an outlier ({label})" if label else ""
    return text + heat(launch)


def _whole_ticks(ax: Axes, xs: Sequence[int]) -> None:
    step = max(1, -(-len(xs) // 10))
    ax.set_xticks(list(xs)[::step])
    ax.set_xlim(min(xs) - 0.7, max(xs) + 0.7)


# --- minute by minute ------------------------------------------------------------------------


def minutes(view: View, rows: list[Row]) -> list[Chart]:
    """A panel per sustained case: how latency grew as the device got warm."""
    labels = view.labels
    long = [(r, x) for r in rows if (x := next((x for x in r.case.launches if x.minutes), None))]
    return [
        Chart(
            key=f"sustained-{i + 1:02d}",
            group="sustained",
            title=labels[row.case.case.id] + view.emulated([row.case.device]),
            caption="",
            note=not_shown(len(long), MOST_CASES, "the JSON has all"),
            alt=f"Latency of {labels[row.case.case.id]} minute by minute: "
            f"{units.duration(launch.minutes[0].median_ns)} at the start, "
            f"{units.duration(launch.minutes[-1].median_ns)} at the end.",
            draw=functools.partial(_draw_minutes, launch),
        )
        for i, (row, launch) in enumerate(long[:MOST_CASES])
    ]


def _draw_minutes(launch: Launch, theme: Theme, width: int) -> Drawing:
    figure, ax = axes(theme, (width, 200), (68, 8, 12, 42))
    medians = [m.median_ns for m in launch.minutes]
    scale = units.column_scale("time", medians)
    xs = range(1, len(medians) + 1)
    ys = [v / scale.divisor for v in medians]
    ax.plot(xs, ys, color=theme.muted, lw=1)
    tips: dict[str, str | Sequence[str]] = {}
    for x, y, m in zip(xs, ys, launch.minutes, strict=True):
        colour, marker = (theme.bad, "s") if m.thermal_status else (theme.series[0], "o")
        ax.plot([x], [y], marker, color=colour, ms=6, gid=f"minute-{x}")
        heat = "" if m.temperature_c is None else f", {m.temperature_c:.0f} °C"
        heat += f", thermal status {m.thermal_status}" if m.thermal_status else ""
        shown = units.duration(m.median_ns)
        tips[f"minute-{x}"] = f"minute {x}: median {shown}, {m.iterations} iterations{heat}"
    ax.set_ylim(0, max(ys) * 1.15)
    ax.set_xlabel("minute", color=theme.muted)
    ax.set_ylabel(scale.label, color=theme.muted)
    _whole_ticks(ax, list(xs))
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    return Drawing(figure, tips)


# --- where the time goes ----------------------------------------------------------------------


def profiles(view: View, rows: list[Row], most: int = 10) -> list[Chart]:
    """A panel per case with the profiler's most expensive operators."""
    labels = view.labels
    profiled = [(r, ops) for r in rows if (ops := _profile(r.case))]
    return [
        Chart(
            key=f"ops-{i + 1:02d}",
            group="ops",
            title=labels[row.case.case.id] + view.emulated([row.case.device]),
            caption="",
            alt=f"Most expensive operators of {labels[row.case.case.id]}: "
            + ", ".join(f"{units.printable(o.op)} {units.duration(o.mean_ns)}" for o in ops[:3]),
            draw=functools.partial(_draw_profile, ops, most),
            note=not_shown(len(profiled), MOST_CASES, "the JSON has all"),
        )
        for i, (row, ops) in enumerate(profiled[:MOST_CASES])
    ]


def _profile(case: CaseReport) -> list[OpTime]:
    """The operators of the first launch that was profiled, the most expensive first."""
    found = next((x.op_times for x in case.launches if x.op_times), ())
    return sorted(found, key=lambda op: -op.mean_ns)


def _draw_profile(ops: list[OpTime], most: int, theme: Theme, width: int) -> Drawing:
    bars = [
        Bar(op.op, op.mean_ns, f"{op.name} ({op.op}): {units.percent(op.share)} of the time, ")
        for op in ops[:most]
    ]
    rest = sum(op.mean_ns for op in ops[most:])
    if rest:
        bars.append(Bar(f"{len(ops) - most} others", rest, ""))
    return draw_bars(bars, units.duration, theme, width)


# --- the tooltip of a launch-------------------------------------------------------------


def heat(launch: Launch) -> str:
    """`, 44 °C, thermal status 2`: how warm the device was after it, as far as that is known."""
    after = launch.after
    if after is None:
        return ""
    said = []
    if after.temperature_c is not None:
        said.append(f"{after.temperature_c:.0f} °C")
    if after.thermal_status:
        said.append(f"thermal status {after.thermal_status}")
    return f", {', '.join(said)}" if said else ""
