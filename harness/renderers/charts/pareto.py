"""Size against latency, with memory and accuracy as further channels; one chart per device."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.analysis.metric_specs import specs
from harness.core import units
from harness.core.text import listed
from harness.core.types import BudgetOutcome, CaseReport
from harness.renderers import metrics
from harness.renderers import verdict as verdicts
from harness.renderers.cases import Row
from harness.renderers.charts.shared import (
    HALF,
    LETTER,
    MOST_DEVICES,
    SMALL,
    Chart,
    Key,
    axis_label,
    draw_key,
    key_lines,
    limits,
    not_shown,
    rows_pixels,
    sentences,
    short,
    tick_text,
    tip,
    usable,
)
from harness.renderers.svg import Drawing, Theme, axes
from harness.renderers.view import View
from harness.renderers.words import some

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A case's budgets, all together, by the shape of its mark.
SHAPES: dict[BudgetOutcome, str] = {"met": "o", "undecided": "D", "missed": "X"}
_MEANING: dict[BudgetOutcome, str] = {
    "met": "meets every budget",
    "undecided": "undecided",
    "missed": "misses a budget",
}
NAMED = 16  # of that many points at most names are tried


class Scene(NamedTuple):
    """What one chart shows: the cases on a device that took part, and the metric that is plotted
    against size."""

    view: View
    device: str
    rows: list[Row]
    cost: str
    labels: dict[str, str]

    @property
    def cases(self) -> list[CaseReport]:
        """The cases of the rows."""
        return [r.case for r in self.rows]


def pareto(view: View, rows: list[Row]) -> list[Chart]:
    """Per device, size against latency (or instructions, where time is not measured) of the cases
    that took part: area is peak RSS, colour accuracy, shape the budgets, a ring the verdict's
    front."""
    scenes = []
    for device in dict.fromkeys(r.case.device for r in rows):
        own = usable([r for r in rows if r.case.device == device])
        cost = "latency" if any(metrics.point(r.case, "latency") for r in own) else "instructions"
        shown = [r for r in own if metrics.point(r.case, "size") and metrics.point(r.case, cost)]
        if shown:
            scenes.append(Scene(view, device, shown, cost, view.names_on(device)))
    note = not_shown(len(scenes), MOST_DEVICES, "")
    alone = len(scenes) == 1
    return [
        _chart(
            scene,
            key="pareto" if alone else f"pareto-{number}",
            place="" if alone else f" on {units.name(scene.device)}",
            note=note if number == 1 else "",
        )
        for number, scene in enumerate(scenes[:MOST_DEVICES], 1)
    ]


def _chart(scene: Scene, *, key: str, place: str, note: str) -> Chart:
    view, labels, cost = scene.view, scene.labels, scene.cost
    ids, counted = verdicts.on_front(view.report, scene.device)
    front = [labels[i] for i in ids]
    by_size = min(scene.cases, key=lambda c: metrics.point(c, "size") or 0)
    by_cost = min(scene.cases, key=lambda c: metrics.point(c, cost) or 0)
    states = view.outcomes
    missing = [labels[c.case.id] for c in scene.cases if states.get(c.case.id) == "missed"]
    left_out = sum(c.device == scene.device for c in view.report.cases) - len(scene.rows)
    counts = listed([metrics.title(m) for m in counted] or ["every count"])
    return Chart(
        key=key,
        group="overview",
        title=f"Size against {metrics.title(cost)}{place}" + view.emulated([scene.device]),
        caption=sentences(
            "Down and to the left is better; bars are intervals.",
            f"A ring: nothing beats it on {counts} together." if front else "",
            _elsewhere(view, cost),
            f"Not drawn: {left_out} failed, invalid or not measured." if left_out else "",
            note,
        ),
        alt=sentences(
            f"Scatter chart of {len(scene.rows)} cases, size against {metrics.title(cost)}: "
            f"the smallest is {labels[by_size.case.id]}, the lowest {labels[by_cost.case.id]}.",
            f"Nothing beats {some(front)}." if front else "",
            f"Missing a budget: {some(missing)}." if missing else "",
        ),
        draw=lambda theme, width: _draw_pareto(scene, theme, width),
        tall=True,
    )


def _elsewhere(view: View, cost: str) -> str:
    """The budgets that have no line here because they are of another metric."""
    others = [units.printable(b.text) for b in view.budgets if b.metric not in ("size", cost)]
    return f"{', '.join(others)}: shown by the shape, not by a line." if others else ""


def _draw_pareto(scene: Scene, theme: Theme, width: int) -> Drawing:
    view, cost, cases, labels = scene.view, scene.cost, scene.cases, scene.labels
    shade = Shade.of(cases)
    areas, biggest = _areas(cases)
    states = view.outcomes
    key = _key(view, cases, cost, biggest, theme)
    above = 10 + 20 * (key_lines(key, width) + (shade is not None))
    # As tall as the two charts of rows that stand beside it.
    beside = 2 * rows_pixels(len(view.report.cases)) + 120
    height = max(above + 330, min(680, beside)) if width >= HALF else above + 320
    figure, ax = axes(theme, (width, height), (64, 18, above, 50))
    sizes, costs = ([metrics.point(c, m) or 0.0 for c in cases] for m in ("size", cost))
    scales = {
        "size": units.column_scale("file size", sizes),
        cost: units.column_scale(specs()[cost].quantity, costs),
    }
    xs = [x / scales["size"].divisor for x in sizes]
    ys = [y / scales[cost].divisor for y in costs]
    _log(ax, (xs, ys), (scales["size"], scales[cost]), theme)
    taken = _budgets(view, ax, scales, theme)
    points = list(zip(xs, ys, strict=True))
    front = set(verdicts.on_front(view.report, scene.device)[0])
    on_front = [p for c, p in zip(cases, points, strict=True) if c.case.id in front]
    steps = _front_of(on_front)
    if len(steps) > 1:
        ax.step(*zip(*steps, strict=True), where="post", color=theme.good, lw=1.6, alpha=0.6)
    divisor = scales[cost].divisor
    bars = [
        (x, e.ci_low / divisor, e.ci_high / divisor)
        for c, x in zip(cases, xs, strict=True)
        if (m := metrics.measured(c, cost)) and (e := m.estimate)
    ]
    if bars:
        ax.vlines(*zip(*bars, strict=True), color=theme.ink, lw=1.4, zorder=2)
    if on_front:
        rings = [(a**0.5 + 7) ** 2 for c, a in zip(cases, areas, strict=True) if c.case.id in front]
        front_xs, front_ys = zip(*on_front, strict=True)
        ax.scatter(front_xs, front_ys, s=rings, facecolors="none", lw=2, zorder=2,
                   edgecolors=theme.good, gid="front")  # fmt: skip
    colours = [theme.series[0] if shade is None else shade.colour(c, theme) for c in cases]
    tips: dict[str, str | Sequence[str]] = {}
    # The largest first, so that a small one in front of it can be seen and clicked.
    order = sorted(range(len(cases)), key=lambda i: -areas[i])
    for state, shape in SHAPES.items():
        own = [i for i in order if states.get(cases[i].case.id, "met") == state]
        if not own:
            continue
        ax.scatter([xs[i] for i in own], [ys[i] for i in own], s=[areas[i] for i in own],
                   c=[colours[i] for i in own], marker=shape, lw=1.2, zorder=3, gid=state,
                   edgecolors=theme.bad if state == "missed" else theme.ink)  # fmt: skip
        tips[state] = [
            tip(labels[cases[i].case.id], cases[i], ("size", cost, "peak_rss", "accuracy"))
            + _outcomes(view, cases[i].case.id)
            for i in own
        ]
    taken += [_around(ax, p, a**0.5 / 2 + 4) for p, a in zip(points, areas, strict=True)]
    taken += _segments(ax, steps)
    _name_points(ax, scene, list(zip(points, areas, strict=True)), taken, theme)
    ax.set_xlabel(axis_label("size", scales["size"]), color=theme.muted)
    ax.set_ylabel(axis_label(cost, scales[cost]), color=theme.muted)
    if shade is not None:
        _shade_key(ax, shade, theme)
    draw_key(ax, key, theme, skip=int(shade is not None))
    return Drawing(figure, tips)


def _outcomes(view: View, case: str) -> str:
    """`; misses size<=10MB; undecided accuracy>=0.95`."""
    said = ""
    for b in view.budgets:
        standing = verdicts.standing(b, case)
        if standing not in ("met", ""):
            word = "misses" if standing == "missed" else standing
            said += f"; {word} {units.printable(b.text)}"
    return said


# --- axes ------------------------------------------------------------------------------------


def _log(
    ax: Axes,
    points: tuple[Sequence[float], Sequence[float]],
    scales: tuple[units.Scale, units.Scale],
    theme: Theme,
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    xs, ys = points
    ax.set_xscale("log")
    ax.set_yscale("log")
    # Room for names, most of all beside the smallest, which is where the best ones stand.
    ax.set_xlim(min(xs) / 3, max(xs) * 2.4)
    ax.set_ylim(min(ys) / 2.4, max(ys) * 2)
    for axis, values, scale in zip((ax.xaxis, ax.yaxis), points, scales, strict=True):
        decades = max(values) / min(values)
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if decades < 300 else (1,)))
        axis.set_major_formatter(FuncFormatter(tick_text(scale)))
        axis.set_minor_locator(NullLocator())
    ax.grid(color=theme.grid, lw=0.8)


def _budgets(view: View, ax: Axes, scales: Mapping[str, units.Scale], theme: Theme) -> list[Box]:
    """The limits of what the axes show as lines, the shade beyond them; where these were drawn."""
    taken: list[Box] = []
    for metric, scale in scales.items():
        across = metric == "size"
        low, high = ax.get_xlim() if across else ax.get_ylim()
        for text, limit in limits(view, metric):
            at = limit / scale.divisor
            span, line = (ax.axvspan, ax.axvline) if across else (ax.axhspan, ax.axhline)
            # Log axes have no zero: a budget of zero shades everything.
            span(min(max(at, low), high), high, color=theme.bad, alpha=0.07, lw=0, zorder=0)
            if not low < at < high:
                continue
            line(at, color=theme.bad, lw=1.4, ls=(0, (4, 2)), zorder=1)
            x, y = ax.transData.transform((at, at))
            left, bottom, wide, tall = ax.bbox.bounds
            said = LETTER * len(text)
            if across:
                right = x + said + 6 > left + wide
                spot = (x - said - 5 if right else x + 5, bottom + tall - 18)
                taken.append((x - 3, bottom, 6, tall))
            else:
                spot = (left + wide - said - 4, y + 4)
                taken.append((left, y - 3, wide, 6))
            ax.text(*_data(ax, spot), text, color=theme.bad, fontsize=SMALL, gid="limit")
            taken.append((*spot, said, 14))
    return taken


def _front_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats in both, from left to right."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not best or y < best[-1][1]:
            best.append((x, y))
    return best


# --- channels --------------------------------------------------------------------------------


class Shade(NamedTuple):
    """Accuracy as a colour between `low` and `high`. The scale spans at least six intervals, so
    that differences which may be chance look the same."""

    low: float
    high: float

    @classmethod
    def of(cls, cases: Sequence[CaseReport]) -> Shade | None:
        """The scale of these cases; None if no accuracy is known."""
        found = [m for c in cases if (m := metrics.measured(c, "accuracy"))]
        known = [m.point for m in found if m.point is not None]
        if not known:
            return None
        widths = [m.ci_high - m.ci_low for m in found if m.ci_low is not None and m.ci_high]
        noise = statistics.median(widths) if widths else 0.02
        span = min(1.0, max(max(known) - min(known), 6 * noise))
        low = max(0.0, max(known) - span)
        return cls(low, low + span)

    def colour(self, case: CaseReport, theme: Theme) -> str:
        """The case's colour; the page's own where its accuracy is unknown."""
        value = metrics.point(case, "accuracy")
        return theme.surface if value is None else self.at(value, theme)

    def at(self, value: float, theme: Theme) -> str:
        """The colour between the two nearest steps of the theme."""
        place = min(1.0, max(0.0, (value - self.low) / (self.high - self.low or 1.0)))
        i, part = divmod(place * (len(theme.scale) - 1), 1)
        ends = theme.scale[int(i)], theme.scale[min(int(i) + 1, len(theme.scale) - 1)]
        a, b = ([int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in ends)
        return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in zip(a, b, strict=True))


def _areas(cases: Sequence[CaseReport]) -> tuple[list[float], float | None]:
    """Areas in points^2, proportional to peak RSS; small dots where it is unknown."""
    values = [metrics.point(c, "peak_rss") for c in cases]
    most = max((v for v in values if v), default=None)
    if most is None:
        return [110.0] * len(cases), None
    return [max(60.0, 620 * v / most) if v else 60.0 for v in values], most


def _key(
    view: View, cases: Sequence[CaseReport], cost: str, biggest: float | None, theme: Theme
) -> list[Key]:
    states = view.outcomes
    there = {states[c.case.id] for c in cases if c.case.id in states}
    colours = {"missed": theme.bad}
    meaning = dict(_MEANING)
    if any(b.unknown for b in view.budgets):
        meaning["undecided"] += f" or {verdicts.NOT_JUDGED}"
    key = [
        Key(meaning[state], colours.get(state, theme.muted), SHAPES[state])
        for state in SHAPES
        if state in there
    ]
    if any(limits(view, m) for m in ("size", cost)):
        key.append(Key("budget", theme.bad, "-"))
    if biggest is not None:
        key.append(Key(f"area: RSS to {units.memory(biggest)}", theme.muted, "o"))
    return key


def _shade_key(ax: Axes, shade: Shade, theme: Theme) -> None:
    """The colours of accuracy from low to high, above the chart."""
    from matplotlib.patches import Rectangle

    figure: Any = ax.figure
    width, height = (size * 72 for size in figure.get_size_inches())
    y = height - 12
    text: dict[str, Any] = {"color": theme.muted, "va": "center", "fontsize": SMALL}
    figure.text(10 / width, y / height, f"accuracy {shade.low:.2f}", **text)
    steps = 28
    for i in range(steps):
        value = shade.low + (shade.high - shade.low) * i / (steps - 1)
        place = ((106 + 4 * i) / width, (y - 6) / height)
        figure.add_artist(
            Rectangle(place, 4.5 / width, 12 / height, color=shade.at(value, theme), lw=0)
        )
    figure.text((106 + 4 * steps + 8) / width, y / height, f"{shade.high:.2f}", **text)


# --- names -----------------------------------------------------------------------------------

Box = tuple[float, float, float, float]  # left, bottom, width, height, in pixels


def _name_points(
    ax: Axes,
    scene: Scene,
    marks: Sequence[tuple[tuple[float, float], float]],
    taken: list[Box],
    theme: Theme,
) -> None:
    """Names beside their marks (place and area), the best rows first. A name that would cover
    something is left out; the tooltip has it."""
    left, bottom, wide, tall = ax.bbox.bounds
    for row, ((x, y), area) in list(zip(scene.rows, marks, strict=True))[:NAMED]:
        bold = row.mark == "recommended"
        label, star = scene.labels[row.case.case.id], "★ " if bold else ""
        px, py = ax.transData.transform((x, y))
        gap = area**0.5 / 2 + 8
        for name in (f"{star}{short(label)}", f"{star}{short(label, 14)}", star.strip()):
            width = (LETTER + bold) * len(name)
            found = next(
                (
                    (start, dy)
                    for start, dy in _spots(px, width, gap, (left + 2, left + wide - 2))
                    if left <= start <= left + wide - width
                    and bottom + 8 < py + dy < bottom + tall - 8
                    and not any(_overlap((start, py + dy - 8, width, 16), t) for t in taken)
                ),
                None,
            )
            if found and name:
                break
        else:
            continue
        start, dy = found
        box = (start, py + dy - 8, width, 16)
        taken.append(box)
        middle = start <= px <= start + width
        to_left = start + width < px
        at = start + (width / 2 if middle else width if to_left else 0)
        ax.text(*_data(ax, (at, py + dy)), name, va="center", zorder=5, gid="name",
                ha="center" if middle else "right" if to_left else "left",
                color=theme.good if bold else theme.ink,
                fontweight="bold" if bold else "normal")  # fmt: skip
        if abs(dy) > gap:
            edge = (px, py + dy - math.copysign(9, dy)) if middle else (at, py + dy)
            ends = [(x, y), _data(ax, edge)]
            ax.plot(*zip(*ends, strict=True), color=theme.muted, lw=0.8, zorder=1)


def _spots(
    px: float, width: float, gap: float, edges: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """Where a name may begin, and how far above its mark: beside it, above, below, further off."""
    for dy in (0.0, 16.0, -16.0):
        yield px + gap, dy
        yield px - width - gap, dy
    middle = min(max(px - width / 2, edges[0]), edges[1] - width)
    for step in range(5):
        for dy in (gap + 4 + 17 * step, -gap - 4 - 17 * step):
            yield middle, dy
            yield px + gap, dy
            yield px - width - gap, dy


def _data(ax: Axes, pixel: tuple[float, float]) -> tuple[float, float]:
    """The place in data coordinates, which stays right in a file of another resolution."""
    x, y = ax.transData.inverted().transform(pixel)
    return float(x), float(y)


def _around(ax: Axes, point: tuple[float, float], radius: float) -> Box:
    px, py = ax.transData.transform(point)
    return (px - radius, py - radius, 2 * radius, 2 * radius)


def _segments(ax: Axes, front: Sequence[tuple[float, float]]) -> list[Box]:
    """Where the front's line runs."""
    boxes: list[Box] = []
    pixels = [ax.transData.transform(point) for point in front]
    for (x0, y0), (x1, y1) in itertools.pairwise(pixels):
        boxes += [(x0, y0 - 1, x1 - x0, 2), (x1 - 1, y1, 2, y0 - y1)]
    return boxes


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
