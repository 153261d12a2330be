"""What the launches were like, one by one and in the order of measurement."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.core import units
from harness.core.stats import launch_median
from harness.core.types import CaseReport, Launch, OpTime, Report
from harness.renderers import _view as view
from harness.renderers._charts.shared import (
    MOST_CASES,
    MOST_LINES,
    PANEL,
    WIDE,
    Bar,
    Chart,
    draw_bars,
    first,
    marker_key,
)
from harness.renderers._svg import MARKERS, Drawing, Theme, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def distributions(report: Report, rows: list[view.Row]) -> list[Chart]:
    """A panel per case: every launch's iterations, the point and its interval."""
    usable = [r for r in rows if any(map(launch_median, r.case.launches))]
    shown, note = first(usable)
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
    figure, ax = axes(theme, PANEL, (46, 10, 14, 36))
    launches = [x for x in case.launches if launch_median(x)]
    scale = units.column_scale("latency", "ns", map(_median, launches))
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
    ax.set_xlabel("launch", color=theme.muted)
    ax.set_ylabel(scale.label, color=theme.muted)
    _whole_ticks(ax, xs)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    return Drawing(figure, {"medians": [_told(x) for x in launches]})


def _median(launch: Launch) -> float:
    return launch_median(launch) or 0.0


def _five(launch: Launch) -> tuple[float, float, float, float, float]:
    """5 %, 25 %, 50 %, 75 % and 95 % of a launch's iterations in ns, for the eye; of a launch
    that reports only a summary, what there is."""
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


def _told(launch: Launch) -> str:
    _, low, middle, high, _ = map(units.duration, _five(launch))
    text = f"launch {launch.index + 1}: median {middle}"
    if launch.latency_ns:
        text += f", middle half {low} to {high}, {len(launch.latency_ns)} iterations"
    return text + _heat(launch)


def _whole_ticks(ax: Axes, xs: Sequence[int]) -> None:
    step = max(1, -(-len(xs) // 10))
    ax.set_xticks(list(xs)[::step])
    ax.set_xlim(min(xs) - 0.7, max(xs) + 0.7)


# --- minute by minute ------------------------------------------------------------------------


def minutes(report: Report, rows: list[view.Row]) -> list[Chart]:
    """A panel per sustained case: how latency grew as the device got warm."""
    labels = view.labels_of(report)
    long = [(r, x) for r in rows if (x := next((x for x in r.case.launches if x.minutes), None))]
    return [
        Chart(
            key=f"sustained-{i + 1:02d}",
            group="sustained",
            title=labels[row.case.case.id],
            caption="",
            alt=f"Latency of {labels[row.case.case.id]} minute by minute: "
            f"{units.duration(launch.minutes[0].median_ns)} at the start, "
            f"{units.duration(launch.minutes[-1].median_ns)} at the end.",
            draw=functools.partial(_draw_minutes, launch),
        )
        for i, (row, launch) in enumerate(long[:MOST_CASES])
    ]


def _draw_minutes(launch: Launch, theme: Theme) -> Drawing:
    figure, ax = axes(theme, PANEL, (46, 10, 14, 36))
    medians = [m.median_ns for m in launch.minutes]
    scale = units.column_scale("latency", "ns", medians)
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


def profiles(report: Report, rows: list[view.Row], most: int = 10) -> list[Chart]:
    """A panel per case with the profiler's most expensive operators."""
    labels = view.labels_of(report)
    profiled = [(r, ops) for r in rows if (ops := _profile(r.case))][:MOST_CASES]
    return [
        Chart(
            key=f"ops-{i + 1:02d}",
            group="ops",
            title=labels[row.case.case.id],
            caption="",
            alt=f"Most expensive operators of {labels[row.case.case.id]}: "
            + ", ".join(f"{units.printable(o.op)} {units.duration(o.mean_ns)}" for o in ops[:3]),
            draw=functools.partial(_draw_profile, ops, most),
        )
        for i, (row, ops) in enumerate(profiled)
    ]


def _profile(case: CaseReport) -> list[OpTime]:
    """Of the first launch that was profiled, the most expensive first."""
    found = next((x.op_times for x in case.launches if x.op_times), ())
    return sorted(found, key=lambda op: -op.mean_ns)


def _draw_profile(ops: list[OpTime], most: int, theme: Theme) -> Drawing:
    bars = [
        Bar(op.op, op.mean_ns, f"{op.name} ({op.op}): {units.percent(op.share)} of the time, ")
        for op in ops[:most]
    ]
    rest = sum(op.mean_ns for op in ops[most:])
    if rest:
        bars.append(Bar(f"{len(ops) - most} others", rest, ""))
    return draw_bars(bars, units.duration, theme)


# --- the order of measurement ----------------------------------------------------------------


def timelines(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Per device: launches in the order of measurement, each relative to its case's median, so
    that what hits all cases at once (drift, throttling, another process) is seen."""
    made = []
    for number, device in enumerate(dict.fromkeys(r.case.device for r in rows)):
        cases = [r.case for r in rows if r.case.device == device]
        cases = [c for c in cases if sum(map(bool, map(launch_median, c.launches))) > 1]
        if cases:
            made.append(_timeline(report, number, device, cases))
    return made


def _timeline(report: Report, number: int, device: str, cases: list[CaseReport]) -> Chart:
    shown = cases[:MOST_CASES]
    note = "" if len(cases) <= MOST_LINES else f"The first {MOST_LINES} of {len(cases)} in colour"
    note += f", {len(shown)} drawn." if len(shown) < len(cases) else "." if note else ""
    return Chart(
        key=f"timeline-{number + 1}",
        group="overview",
        title=f"Order of measurement on {units.name(device)}",
        caption="Every launch against its own case's median. What moves all cases at once is the "
        f"machine, not the model. {note}",
        alt=f"Launch medians relative to their case in the order of measurement, "
        f"{len(cases)} cases.",
        draw=lambda theme: _draw_timeline(report, shown, theme),
    )


def _draw_timeline(report: Report, cases: list[CaseReport], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = axes(theme, (WIDE[0], 300 + 18 * -(-min(len(cases), MOST_LINES) // 3)),
                      (62, 24, 20 + 18 * -(-min(len(cases), MOST_LINES) // 3), 48))  # fmt: skip
    tips: dict[str, str | Sequence[str]] = {}
    key = []
    for i, case in enumerate(cases):
        launches = sorted(filter(launch_median, case.launches), key=lambda x: x.order)
        medians = [_median(x) for x in launches]
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
    marker_key(ax, key, theme)
    return Drawing(figure, tips)


def _heat(launch: Launch) -> str:
    after = launch.after
    if after is None:
        return ""
    said = []
    if after.temperature_c is not None:
        said.append(f"{after.temperature_c:.0f} °C")
    if after.thermal_status:
        said.append(f"thermal status {after.thermal_status}")
    return f", {', '.join(said)}" if said else ""
