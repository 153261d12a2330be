"""What all charts have in common: their sizes, names, keys and tooltips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core import units
from harness.core.types import CaseReport, Report
from harness.renderers import _view as view
from harness.renderers._svg import MARKERS, Drawing, Theme, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_CASES = 24  # in charts with a row or a panel per case
MOST_LINES = len(MARKERS)  # in charts with a colour per case
NAME = 26  # letters of a name in a chart

WIDE = (560, 390)
PANEL = (310, 185)


class Chart(NamedTuple):
    """One chart. `key` is its file name; `alt` says what is to be seen; `group` puts panels of
    one kind together."""

    key: str
    group: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Theme], Drawing]


def rows_axes(theme: Theme, shown: Sequence[str]) -> tuple[Any, Axes]:
    """Axes with one row per name, which must be short, the first at the top."""
    left = 18 + int(6.4 * max(map(len, shown)))
    figure, ax = axes(theme, (WIDE[0], 92 + 30 * len(shown)), (left, 58, 34, 46))
    ax.set_yticks(range(len(shown)), shown, color=theme.ink)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.grid(axis="x", color=theme.grid, lw=0.8)
    return figure, ax


def first(rows: list[view.Row]) -> tuple[list[view.Row], str]:
    shown = rows[:MOST_CASES]
    note = f"The first {len(shown)} of {len(rows)}; the table has all."
    return shown, "" if len(shown) == len(rows) else note


def ranking(what: str, report: Report, rows: list[view.Row], metric: str) -> str:
    labels = view.labels_of(report)
    said = [
        f"{labels[r.case.case.id]} {units.with_interval(metric, r.case.metrics.get(metric))}"
        for r in rows[:8]
    ]
    return f"Chart of {what}: {'; '.join(said)}."


def short(text: str) -> str:
    text = units.printable(text)
    if len(text) <= NAME:
        return text
    return f"{text[: NAME // 2 - 1]}…{text[-(NAME // 2) :]}"


def axis_label(metric: str, scale: units.Scale) -> str:
    label = "" if scale.label in ("ratio", "count") else f", {scale.label}"
    return f"{view.title(metric)}{label}"


def tip(label: str, case: CaseReport, metrics: Sequence[str]) -> str:
    parts = [
        f"{view.title(m)} {units.with_interval(m, found)}"
        for m in metrics
        if (found := view.measured(case, m)) is not None
    ]
    return f"{label}: {', '.join(parts)}"


def square_key(ax: Axes, entries: Sequence[tuple[str, str]], theme: Theme) -> None:
    """Coloured squares with their names, above the chart."""
    marker_key(ax, [(name, colour, "s") for name, colour in entries], theme)


def marker_key(ax: Axes, entries: Sequence[tuple[str, str, str]], theme: Theme) -> None:
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
            figure.text(x + 10 / width, y, short(name), color=theme.muted, va="center", fontsize=10)
        else:
            figure.text(x, y, f"│ {name[2:]}", color=theme.muted, va="center", fontsize=10)


def _dot(x: float, y: float, marker: str, colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, color=colour, ms=7, ls="")


class Bar(NamedTuple):
    """A bar's name, its value, and what its tooltip says before the value."""

    name: str
    value: float
    about: str


def draw_bars(bars: Sequence[Bar], show: Callable[[float], str], theme: Theme) -> Drawing:
    """A small chart of bars with their values at the end; the names' ends tell them apart."""
    figure, ax = axes(theme, (PANEL[0], 30 + 22 * len(bars)), (132, 58, 6, 10))
    tips: dict[str, str | Sequence[str]] = {}
    for i, bar in enumerate(bars):
        (drawn,) = ax.barh([i], [bar.value], height=0.66, color=theme.series[0])
        drawn.set_gid(f"bar-{i}")
        tips[f"bar-{i}"] = units.printable(f"{bar.about}{show(bar.value)}")
        ax.annotate(show(bar.value), (bar.value, i), (5, 0), textcoords="offset points",
                    va="center", color=theme.ink, fontsize=10)  # fmt: skip
    ax.set_yticks(range(len(bars)), [_tail(bar.name) for bar in bars], fontsize=10)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    return Drawing(figure, tips)


def _tail(name: str) -> str:
    name = units.printable(name)
    return name if len(name) <= 20 else f"…{name[-19:]}"
