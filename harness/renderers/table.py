"""The terminal's table: which columns there are, which of them fit, how their cells line up."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from harness.analysis.metric_specs import quantity
from harness.core import units
from harness.core.types import CaseReport, Status
from harness.renderers import metrics
from harness.renderers.cases import Row, best_point, macs_in_millions
from harness.renderers.how import outliers
from harness.renderers.view import View
from harness.renderers.words import shorten
from harness.stats.summaries import launch_median

GOOD, DOUBT, BAD, QUIET = "cyan", "yellow", "bold red", "dim"
STATUS_STYLE: dict[Status, str] = {"ok": GOOD, "suspect": DOUBT, "invalid": BAD, "failed": BAD}
STATUS_SIGN: dict[Status, str] = {"ok": "✓", "suspect": "?", "invalid": "✗", "failed": "✗"}
MARKS = {"recommended": "★", "candidate": "○", "runner-up": "☆", "pareto": "◇", "": ""}
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = " ▁▂▃▄▅▆▇█"

GAP = 2
NAME_WIDTH = 22  # characters of a variant name in one line; a longer name is folded
BAR = 4  # cells of a bar
BINS = 5  # ... and of a distribution
NAME_LINES = 3  # lines of a variant name, before its middle is cut out
NEVER = 1000  # the importance of a column that only `--columns` shows
USUAL = 17  # ... and of the last one that is of general interest
NOISE = 60  # of the columns that say how latency scattered
CORE = 15  # ... and of the last one for which decimal points need not be aligned


class Column(NamedTuple):
    """`head` has two lines: the title, and the unit or the base. Lower `importance` matters
    more. Numbers stand to the right, with their decimal points under each other, unless the
    terminal is too narrow for that."""

    key: str
    head: tuple[str, str]
    cells: list[Text]
    importance: int
    right: bool = False

    @property
    def width(self) -> int:
        """Characters that the widest cell takes."""
        natural = max((c.cell_len for c in self.cells), default=0)
        if self.key == "variant":
            natural = min(natural, NAME_WIDTH)
        return max(natural, *(cell_len(h) for h in self.head))


def name(column: Column) -> str:
    """The column's name in a sentence."""
    return {"launches": "spread", "macs": "MACs"}.get(column.key) or metrics.title(column.key)


def compact(column: Column) -> Column:
    """The column without room for aligned decimal points."""
    if not column.right:
        return column
    cells = []
    for cell in column.cells:
        tight = Text(" ".join(cell.plain.split()))
        tight.spans = [span._replace(end=len(tight)) for span in cell.spans]
        cells.append(tight)
    return column._replace(cells=cells)


# Importance of the columns that are not metrics; metrics lie between. Smaller matters more.
_IMPORTANCE = {
    "variant": 0,
    "device": 1,
    "status": 2,
    "faster": 9,
    "smaller": 10,
    "launches": 11,
    "latency_bar": 12,
    "size_bar": 13,
}


def columns_of(view: View, rows: list[Row], *, wide: bool, words: bool) -> list[Column]:
    """Every column that has something to show, in reading order; `words` tells the status in words
    and not only by its sign."""
    made = [
        Column("variant", ("variant", ""), _names(rows), 0),
        Column("device", ("device", ""), [plain(r.place) for r in rows], 1),
        Column(
            "status",
            ("status" if words else "", ""),
            [_status(r.case, words=words) for r in rows],
            2,
        ),
    ]
    if not any(r.place for r in rows):
        made[1] = made[1]._replace(importance=NEVER, cells=[plain(r.case.device) for r in rows])
    for metric in view.metrics:
        if all(metrics.point(r.case, metric) is None for r in rows):
            continue
        if metrics.is_bound(metric):
            made.append(_bound(metric, rows))
            continue
        made.append(_metric(metric, rows, interval=wide or metrics.is_headline(metric)))
        if metric == "instructions" and any(r.artifact and r.artifact.macs for r in rows):
            cells = [plain(t) for t in _aligned([macs_in_millions(r) for r in rows])]
            made.append(Column("macs", ("MACs", "million"), cells, 8, right=True))
        if metric in ("size", "latency"):
            made.append(_bars(metric, rows))
        if metric == "latency":
            made.append(_distribution(rows))
    made += _noise(view, rows)
    reference = view.reference
    if reference is not None:
        ratios: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
            ("smaller", lambda r: r.smaller),
            ("faster", lambda r: r.faster),
        )
        for key, ratio in ratios:
            values = [ratio(r) for r in rows]
            if any(v is not None for v in values):
                made.append(Column(key, (key, ""), _times(values), _IMPORTANCE[key], right=True))
    return made


def _noise(view: View, rows: list[Row]) -> list[Column]:
    """The two spreads of latency, relative to it, and the launches that are outliers."""
    found = [view.noise.get(r.case.case.id) for r in rows]
    levels = [metrics.point(r.case, "latency") for r in rows]
    made = []
    for key in ("within", "between"):
        spreads = [getattr(noise, f"{key}_ns") if noise else None for noise in found]
        if any(spread is not None for spread in spreads):
            shares = [
                s / m if s is not None and m else None for s, m in zip(spreads, levels, strict=True)
            ]
            cells = [plain(text) for text in _aligned([units.percent(share) for share in shares])]
            made.append(Column(key, (key, "launches"), cells, NOISE, right=True))
    if any(noise and noise.outliers for noise in found):
        cells = [plain(outliers(noise) or "0" if noise else units.ABSENT) for noise in found]
        made.append(Column("outliers", ("outliers", "launches"), cells, NOISE, right=True))
    return made


def against_what(view: View, keys: Collection[str]) -> str:
    """What the ratios among the columns refer to: `smaller and faster: vs vgg16`."""
    reference = view.reference
    shown = [key for key in ("smaller", "faster") if key in keys]
    if reference is None or not shown:
        return ""
    return f"{' and '.join(shown)}: vs {shorten(units.name(reference), 24)}"


def _metric(metric: str, rows: list[Row], *, interval: bool) -> Column:
    found = [metrics.measured(r.case, metric) for r in rows]
    unit = next(m.unit for m in found if m is not None)
    scale = units.column_scale(
        quantity(metric, unit), (m.point for m in found if m and m.point is not None)
    )
    numbers = _aligned([scale.show(m.point) if m else units.ABSENT for m in found])
    if interval and (metric == "latency" or any(m and m.estimate for m in found)):
        spreads = [units.spread(m, scale) if m else "" for m in found]
        most = max(map(len, spreads))
        pairs = zip(numbers, spreads, strict=True)
        numbers = [f"{number} {spread:>{most}}" for number, spread in pairs]
    cells = [plain(n) for n in numbers]
    for cell, value in zip(cells, found, strict=True):
        if value is None:
            cell.stylize(QUIET)
    best = best_point(metric, rows)
    for cell, m in zip(cells, found, strict=True):
        if m is not None and m.point == best:
            cell.stylize("bold")
    label = "" if scale.label in ("ratio", "count") else scale.label
    head = (metrics.title(metric), label)
    return Column(metric, head, cells, metrics.importance(metric), right=True)


def _bound(metric: str, rows: list[Row]) -> Column:
    """The most that it may be, in points."""
    found = [metrics.bound(r.case, metric) for r in rows]
    shown = [units.ABSENT if b is None else units.points(b, up=True).split()[0] for b in found]
    cells = [plain(n) for n in _aligned(shown)]
    best = min((b for b in found if b is not None), default=None)
    for cell, value in zip(cells, found, strict=True):
        if value is None or value == best:
            cell.stylize(QUIET if value is None else "bold")
    head = (metrics.title(metric), "points")
    return Column(metric, head, cells, metrics.importance(metric), right=True)


def _bars(metric: str, rows: list[Row], width: int = BAR) -> Column:
    values = [metrics.point(r.case, metric) for r in rows]
    most = max((v for v in values if v is not None), default=0.0)
    cells = [Text(_bar(v, most, width).ljust(width), style=GOOD) for v in values]
    key = f"{metric}_bar"
    importance = _IMPORTANCE[key] if len(values) > 1 else NEVER
    return Column(key, ("", ""), cells, importance)


def _bar(value: float | None, most: float, width: int) -> str:
    """A bar of `width` cells for the largest value; any value above 0 has at least a sliver."""
    if value is None or most <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    full, rest = divmod(eighths, 8)
    return "█" * full + (EIGHTHS[rest] if rest else "")


def _distribution(rows: list[Row]) -> Column:
    """How the launches' medians lie around their own median, all rows on one scale, which the head
    names: a case without noise is a peak, a noisy one is broad."""
    medians = [[m for x in r.case.launches if (m := launch_median(x))] for r in rows]
    deviations = [[m / statistics.median(ms) - 1 for m in ms] for ms in medians]
    reach = units.round_up(max((abs(d) for ds in deviations for d in ds), default=0.0))
    cells = [Text(_histogram(ds, reach)) for ds in deviations]
    importance = _IMPORTANCE["launches"] if any(len(m) > 1 for m in medians) else NEVER
    head = ("spread", f"±{units.percent(reach)}" if reach else "")
    return Column("launches", head, cells, importance)


def _histogram(deviations: list[float], reach: float) -> str:
    """How many lie where between -reach and +reach."""
    if not deviations:
        return units.ABSENT
    counts = [0] * BINS
    for d in deviations:
        share = (d + reach) / (2 * reach) if reach else 0.5
        counts[min(BINS - 1, int(share * BINS))] += 1
    most = max(counts)
    return "".join(LEVELS[-(-c * 8 // most)] for c in counts)


def _times(values: list[float | None]) -> list[Text]:
    cells = [plain(t) for t in _aligned([units.times(v) for v in values])]
    for cell, value in zip(cells, values, strict=True):
        if value is None:
            cell.stylize(QUIET)
    return cells


def _aligned(numbers: list[str]) -> list[str]:
    """Decimal points under each other: on the right, pad what has fewer decimals."""
    tails = [len(n) - n.index(".") if "." in n else 0 for n in numbers]
    most = max(tails, default=0)
    padded = [n + " " * (most - tail) for n, tail in zip(numbers, tails, strict=True)]
    width = max(map(len, padded), default=0)
    return [p.rjust(width) for p in padded]


def _names(rows: list[Row]) -> list[Text]:
    """Names with their marks; a mark that every row would have is only in the legend."""
    untrained = {r.untrained for r in rows} == {True, False}
    emulated = {r.emulated for r in rows} == {True, False}
    counted = {r.counted for r in rows} == {True, False}
    cells = []
    for row in rows:
        text = plain(shorten(units.name(row.case.variant), NAME_WIDTH * NAME_LINES - 8))
        if row.mark:
            text = Text.assemble((f"{MARKS[row.mark]} ", GOOD), text)
            text.stylize("bold" if row.mark == "recommended" else "")
        text.append(" †" if row.untrained and untrained else "", style=QUIET)
        text.append(" ‡" if row.emulated and emulated else "", style=QUIET)
        text.append(" §" if row.counted and counted else "", style=QUIET)
        cells.append(text)
    return cells


def _status(case: CaseReport, *, words: bool) -> Text:
    sign = STATUS_SIGN[case.status]
    return Text(f"{sign} {case.status}" if words else sign, style=STATUS_STYLE[case.status])


def plain(text: str) -> Text:
    """Text without colour, fit for a terminal."""
    return Text(units.printable(text))


# --- choosing and drawing --------------------------------------------------------------------


def width_of(columns: Iterable[Column]) -> int:
    """Characters that the columns take side by side."""
    widths = [c.width for c in columns]
    return sum(widths) + GAP * (len(widths) - 1)


def fitting(every: list[Column], width: int) -> tuple[list[Column], list[Column]]:
    """The most important columns that fit, in reading order, and those that did not."""
    chosen: list[Column] = []
    for column in sorted(every, key=lambda c: (c.importance, c.key)):
        if column.importance < NEVER and width_of([*chosen, column]) <= width:
            chosen.append(column)
    shown = [c for c in every if c in chosen]
    return shown, [c for c in every if c not in chosen and c.importance < NEVER]


def asked(every: list[Column], keys: Sequence[str], view: View) -> list[Column]:
    """The columns of these names, after the variant; one that nothing has is left out, and the
    note under the table says so."""
    by_key = {c.key: c for c in every}
    known = metrics.columns_known(view.report)
    shown = [by_key["variant"]]
    for key in keys:
        if key not in by_key and key not in known:
            raise metrics.unknown_column(key, known)
        if key in by_key and by_key[key] not in shown:
            shown.append(by_key[key])
    return shown


def table(columns: list[Column], width: int) -> Table:
    """The rich table of `columns`, `width` characters wide."""
    drawn = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    spare = max(0, width - width_of(columns))
    for column in columns:
        own = column.width
        if column.key == "variant":
            natural = max((c.cell_len for c in column.cells), default=0)
            own = max(own, min(natural, own + spare))
        title, unit = (_padded(Text(h), own, column.right) for h in column.head)
        unit.stylize("dim not bold")
        drawn.add_column(
            Text("\n").join([title, unit]),
            width=own,
            no_wrap=column.key != "variant",
            overflow="fold" if column.key == "variant" else "ignore",
        )
    widths = [column.width for column in columns]
    for cells in zip(*(c.cells for c in columns), strict=True):
        pairs = zip(cells, columns, widths, strict=True)
        drawn.add_row(*(_padded(cell, width, column.right) for cell, column, width in pairs))
    return drawn


def _padded(text: Text, width: int, right: bool) -> Text:
    """Padded here and not by the table, which would strip the spaces that align decimals."""
    return Text(" " * (width - text.cell_len)) + text if right else text
