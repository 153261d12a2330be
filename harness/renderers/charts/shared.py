"""What all charts have in common: their widths, names, keys and tooltips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.analysis.metric_specs import quantity, specs
from harness.core import units
from harness.core.types import CaseReport
from harness.renderers import metrics
from harness.renderers.cases import Row
from harness.renderers.svg import MARKERS, Drawing, Theme, axes
from harness.renderers.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_CASES = 24  # in charts with a row or a panel per case
MOST_LINES = len(MARKERS)  # in charts with a colour per case
MOST_DEVICES = 6  # in charts of which there is one per device

# Widths in CSS pixels. A chart is drawn for the place where it stands and shown at that size, so
# that its text is never smaller than the page's small print.
HALF = 586
FULL = 1100
NARROW = 344  # on a phone; panels everywhere
SMALL = 12  # font size of keys and remarks

NAME = 26  # letters of a name in a chart
LETTER = 7.4  # how wide a letter is, generously


class Chart(NamedTuple):
    """One chart. `key` is its file name; `alt` is the text for readers who cannot see it; `group`
    puts panels of one kind together, and `note` is their common remark; `draw` gets the width in
    CSS pixels. A `tall` one is as high as two others. With `told` its numbers are elsewhere on the
    page, so it needs no list of them."""

    key: str
    group: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Theme, int], Drawing]
    note: str = ""
    tall: bool = False
    told: bool = False


# --- who is drawn ----------------------------------------------------------------------------


def usable(rows: Sequence[Row]) -> list[Row]:
    """The rows whose numbers may be looked at: neither failed nor invalid."""
    return [r for r in rows if r.case.status in ("ok", "suspect")]


def first(rows: list[Row]) -> tuple[list[Row], str]:
    """As many rows as a reader can distinguish, and what to say about the others."""
    return rows[:MOST_CASES], not_shown(len(rows), MOST_CASES)


def not_shown(there_are: int, most: int, where: str = "the table has all") -> str:
    """`The first 24 of 100; the table has all.`; empty if all are shown."""
    if there_are <= most:
        return ""
    return f"The first {most} of {there_are}{f'; {where}' if where else ''}."


def sentences(*parts: str) -> str:
    """The parts that are not empty, one after the other."""
    return " ".join(p for p in parts if p)


# --- rows ------------------------------------------------------------------------------------


class Key(NamedTuple):
    """What a mark means. `marker` is one of matplotlib's, or "|" for a tick, "-" for a dashed
    line, "/" for hatching."""

    name: str
    colour: str
    marker: str = "s"


def rows_axes(
    theme: Theme,
    width: int,
    names: Sequence[str],
    key: Sequence[Key] = (),
    *,
    right: int = 64,
    most: int = NAME,
) -> tuple[Any, Axes]:
    """Axes with one row per name, the first at the top; names stand before their rows, or above
    them where it is narrow. `right` is the room for values behind the rows,
    `most` the letters of a name."""
    narrow = width < HALF
    shown = [short(n, most) for n in names]
    left = 14 if narrow else 18 + int(LETTER * max(map(len, shown)))
    lines = key_lines(key, width)
    top = 12 + 20 * lines
    each = 46 if narrow else 32
    figure, ax = axes(theme, (width, top + 54 + each * len(shown)), (left, right, top, 50))
    if narrow:
        ax.set_yticks([])
        for i, name in enumerate(shown):
            ax.annotate(name, (0, i), (0, 14), xycoords=("axes fraction", "data"),
                        textcoords="offset points", color=theme.ink)  # fmt: skip
        ax.set_ylim(len(shown) - 0.45, -0.75)
    else:
        ax.set_yticks(range(len(shown)), shown, color=theme.ink)
        ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.grid(axis="x", color=theme.grid, lw=0.8)
    ax.locator_params(axis="x", nbins=5 if narrow else 8)
    draw_key(ax, key, theme)
    return figure, ax


def row_height(width: int) -> float:
    """How much of a row its bar takes: thinner where the name stands above it."""
    return 0.62 if width >= HALF else 0.36


def rows_pixels(count: int) -> int:
    """The height of `count` rows on a wide screen, as `rows_axes` makes them."""
    return 86 + 32 * count


# --- keys ------------------------------------------------------------------------------------


def _places(key: Sequence[Key], width: int) -> list[tuple[float, int]]:
    """Where each entry begins, and in which line."""
    places: list[tuple[float, int]] = []
    x, line = 16.0, 0
    for entry in key:
        wide = 18 + LETTER * len(short(entry.name)) + 14
        if x > 16 and x + wide > width:
            x, line = 16.0, line + 1
        places.append((x, line))
        x += wide
    return places


def key_lines(key: Sequence[Key], width: int) -> int:
    """How many lines a key takes."""
    return 1 + _places(key, width)[-1][1] if key else 0


def draw_key(ax: Axes, key: Sequence[Key], theme: Theme, *, skip: int = 0) -> None:
    """The key above the chart, below `skip` lines of something else."""
    figure: Any = ax.figure
    width, height = (size * 72 for size in figure.get_size_inches())
    for entry, (x, line) in zip(key, _places(key, int(width)), strict=True):
        y = height - 12 - 20 * (line + skip)
        for mark in _marks(entry, x / width, y / height, (width, height)):
            figure.add_artist(mark)
        figure.text((x + 14) / width, y / height, short(entry.name), color=theme.muted,
                    va="center", fontsize=SMALL)  # fmt: skip


def _marks(entry: Key, x: float, y: float, size: tuple[float, float]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    width, height = size
    if entry.marker == "/":
        box = ((x * width - 5) / width, (y * height - 6) / height)
        return [Rectangle(box, 13 / width, 12 / height, fill=False, hatch="////", lw=0,
                          edgecolor=entry.colour)]  # fmt: skip
    if entry.marker == "|":
        ends = [(y * height - 7) / height, (y * height + 7) / height]
        return [Line2D([x, x], ends, color=entry.colour, lw=2)]
    if entry.marker == "-":
        return [Line2D([(x * width - 7) / width, (x * width + 9) / width], [y, y],
                       color=entry.colour, lw=1.4, ls=(0, (4, 2)))]  # fmt: skip
    return [Line2D([x], [y], marker=entry.marker, color=entry.colour, ms=8, ls="")]


# --- limits ----------------------------------------------------------------------------------


def draw_limits(ax: Axes, view: View, metric: str, divisor: float, theme: Theme) -> None:
    """The budgets of the metric as lines across the rows, if they are within the chart; the key
    names them."""
    low, high = ax.get_xlim()
    for _, limit in limits(view, metric):
        if low < limit / divisor < high:
            ax.axvline(limit / divisor, color=theme.bad, lw=1.4, ls=(0, (4, 2)))


def limit_keys(view: View, metric: str, theme: Theme) -> list[Key]:
    """What the lines of `draw_limits` are."""
    return [Key(text, theme.bad, "-") for text, _ in limits(view, metric)]


def limits(view: View, metric: str) -> list[tuple[str, float]]:
    """The budgets on the metric: how they are written, and the limit in its unit."""
    budgets = view.budgets
    return [(units.printable(b.text), b.limit) for b in budgets if b.metric == metric]


# --- text ------------------------------------------------------------------------------------


def ranking(what: str, view: View, rows: list[Row], metric: str) -> str:
    """The rows by one metric, best first, as a sentence for readers who cannot see the chart."""
    labels, kind = view.labels, specs()[metric].quantity
    said = [
        f"{labels[r.case.case.id]} {units.with_interval(r.case.metrics.get(metric), kind)}"
        for r in rows[:8]
    ]
    return f"Chart of {what}: {'; '.join(said)}."


def short(text: str, most: int = NAME) -> str:
    """`text` cut to `most` characters, the cut marked."""
    text = units.printable(text)
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def axis_label(metric: str, scale: units.Scale) -> str:
    """The metric's title with the unit of the axis."""
    label = "" if scale.label in ("ratio", "count") else f", {scale.label}"
    return f"{metrics.title(metric)}{label}"


def tick_text(scale: units.Scale, values: Sequence[float] = ()) -> Callable[[float, int], str]:
    """How the numbers at an axis are written: counts with a unit of their own, with as many digits
    as tell `values` apart."""
    if scale.label != "count":
        return lambda value, _: f"{value:g}"
    low, high = min(values, default=0.0), max(values, default=0.0)
    apart = math.ceil(-math.log10(1 - low / high)) if 0 < low < high else 0
    return lambda value, _: units.count(value, max(4, 2 + apart))


def tip(label: str, case: CaseReport, names: Sequence[str]) -> str:
    """What is shown when the pointer rests on a mark: the name and the values with intervals."""
    parts = [
        f"{metrics.title(m)} {units.with_interval(found, quantity(m, found.unit))}"
        for m in names
        if (found := metrics.measured(case, m)) is not None
    ]
    return f"{label}: {', '.join(parts)}"


# --- bars ------------------------------------------------------------------------------------


class Bar(NamedTuple):
    """A bar's name, its value, and what its tooltip says before the value."""

    name: str
    value: float
    about: str


def draw_bars(
    bars: Sequence[Bar], show: Callable[[float], str], theme: Theme, width: int
) -> Drawing:
    """A small chart of bars with their values at the end; long names keep their ends."""
    figure, ax = axes(theme, (width, 16 + 25 * len(bars)), (150, 66, 4, 6))
    tips: dict[str, str | Sequence[str]] = {}
    for i, bar in enumerate(bars):
        (drawn,) = ax.barh([i], [bar.value], height=0.66, color=theme.series[0])
        drawn.set_gid(f"bar-{i}")
        tips[f"bar-{i}"] = units.printable(f"{bar.about}{show(bar.value)}")
        ax.annotate(show(bar.value), (bar.value, i), (5, 0), textcoords="offset points",
                    va="center", color=theme.ink, fontsize=SMALL)  # fmt: skip
        ax.annotate(_tail(bar.name), (0, i), (-6, 0), xycoords=("axes fraction", "data"),
                    textcoords="offset points", ha="right", va="center", color=theme.muted,
                    fontsize=SMALL)  # fmt: skip
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xlim(0, max([1e-9, *(b.value for b in bars if math.isfinite(b.value))]))
    ax.set_axis_off()  # drawing an axis takes ten times as long as drawing names
    return Drawing(figure, tips)


def _tail(name: str) -> str:
    name = units.printable(name)
    return name if len(name) <= 19 else f"…{name[-18:]}"
