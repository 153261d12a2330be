"""Launches in the order of measurement."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core import units
from harness.core.types import CaseReport, Launch
from harness.renderers.cases import Row
from harness.renderers.charts.launches import heat
from harness.renderers.charts.shared import (
    MOST_CASES,
    MOST_DEVICES,
    MOST_LINES,
    SMALL,
    Chart,
    Key,
    draw_key,
    key_lines,
    not_shown,
    sentences,
)
from harness.renderers.svg import MARKERS, Drawing, Theme, axes
from harness.renderers.view import View
from harness.stats.summaries import launch_median

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def timelines(view: View, rows: list[Row]) -> list[Chart]:
    """Per device: launches in the order of measurement, each relative to its case's median, so
    that what hits all cases at once (drift, throttling, another process) is seen; where the
    device throttled is shaded, and its temperature runs below."""
    found = []
    for device in dict.fromkeys(r.case.device for r in rows):
        cases = [r.case for r in rows if r.case.device == device]
        cases = [c for c in cases if sum(map(bool, map(launch_median, c.launches))) > 1]
        if cases:
            found.append((device, cases))
    note = not_shown(len(found), MOST_DEVICES, "")
    return [
        _timeline(view, number, device, cases, note if number == 0 else "")
        for number, (device, cases) in enumerate(found[:MOST_DEVICES])
    ]


def _timeline(view: View, number: int, device: str, cases: list[CaseReport], note: str) -> Chart:
    shown = cases[:MOST_CASES]
    many = ""
    if len(cases) > MOST_LINES:
        drawn = f", {len(shown)} drawn" if len(shown) < len(cases) else ""
        many = f"The first {MOST_LINES} of {len(cases)} in colour{drawn}."
    hot = sum(map(_throttled, (x for c in shown for x in c.launches)))
    told = f"The device throttled after {hot} of the launches." if hot else ""
    offs = [y for c in cases for _, _, y in _deviations(c)]
    return Chart(
        key=f"timeline-{number + 1}",
        group="overview",
        title=f"Order of measurement on {units.name(device)}" + view.emulated([device]),
        caption=sentences(
            "Every launch against its own case's median. What moves all cases at once is the "
            "machine, not the model.",
            told,
            many,
            note,
        ),
        alt=sentences(
            f"Launch medians relative to their case in the order of measurement, {len(cases)} "
            f"cases: from {min(offs):+.1f} % to {max(offs):+.1f} %.",
            told,
        ),
        draw=lambda theme, width: _draw(shown, view.names_on(device), theme, width),
        told=True,
    )


def _throttled(launch: Launch) -> bool:
    return bool(launch.after and launch.after.thermal_status)


def _deviations(case: CaseReport) -> list[tuple[Launch, float, float]]:
    """(launch, its median in ns, by how many per cent that is off the case's), in order."""
    launches = sorted(filter(launch_median, case.launches), key=lambda x: x.order)
    medians = [launch_median(x) or 0.0 for x in launches]
    whole = statistics.median(medians)
    return [(x, m, 100 * (m / whole - 1)) for x, m in zip(launches, medians, strict=True)]


def _draw(cases: list[CaseReport], labels: dict[str, str], theme: Theme, width: int) -> Drawing:
    launches = sorted((x for c in cases for x in c.launches), key=lambda x: x.order)
    hot = [x.order + 1 for x in launches if _throttled(x)]
    warm = [(x.order + 1, x.after.temperature_c) for x in launches
            if x.after and x.after.temperature_c is not None]  # fmt: skip
    key = [
        Key(labels[c.case.id], theme.series[i], MARKERS[i])
        for i, c in enumerate(cases[:MOST_LINES])
    ]
    key += [Key("throttled", theme.bad)] if hot else []
    above, below = 14 + 20 * key_lines(key, width), 46 + (78 if warm else 0)
    figure, ax = axes(theme, (width, 210 + above + below), (62, 14, above, below))
    tips: dict[str, str | Sequence[str]] = {}
    for i, case in enumerate(cases):
        many = i >= MOST_LINES
        colour = theme.grid if many else theme.series[i]
        found = _deviations(case)
        xs, ys = [x.order + 1 for x, _, _ in found], [y for _, _, y in found]
        ax.plot(xs, ys, color=colour, lw=1, alpha=0.6, zorder=1 if many else 2)
        ax.scatter(xs, ys, s=12 if many else 40, marker=MARKERS[i % len(MARKERS)], color=colour,
                   zorder=1 if many else 3, gid=f"launches-{i}")  # fmt: skip
        tips[f"launches-{i}"] = [
            f"{labels[case.case.id]}, launch {x.index + 1}: {units.duration(m)} "
            f"({y:+.1f} %){heat(x)}"
            for x, m, y in found
        ]
    ax.axhline(0, color=theme.muted, lw=1)
    ax.set_ylabel("from the case's median, %", color=theme.muted)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    for order in hot:
        ax.axvspan(order - 0.5, order + 0.5, color=theme.bad, alpha=0.16, lw=0, zorder=0,
                   gid="throttled")  # fmt: skip
    draw_key(ax, key, theme)
    last = _temperatures(ax, warm, theme) if warm else ax
    last.set_xlabel("order of measurement", color=theme.muted)
    return Drawing(figure, tips)


def _temperatures(ax: Axes, warm: Sequence[tuple[int, float | None]], theme: Theme) -> Axes:
    """A strip below the chart, and nothing more under the chart itself."""
    figure: Any = ax.figure
    height = 72 * figure.get_size_inches()[1]
    box = ax.get_position()
    strip: Axes = figure.add_axes((box.x0, 46 / height, box.width, 58 / height), sharex=ax)
    strip.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        strip.spines[side].set_visible(False)
    strip.spines["bottom"].set_color(theme.grid)
    strip.tick_params(colors=theme.muted, length=0, pad=6)
    ax.tick_params(labelbottom=False)
    strip.plot(*zip(*warm, strict=True), color=theme.doubt, lw=1.6)
    strip.locator_params(axis="y", nbins=3)
    strip.set_ylabel("°C", color=theme.muted, fontsize=SMALL)
    strip.grid(axis="y", color=theme.grid, lw=0.8)
    return strip
