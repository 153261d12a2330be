"""Which class was taken for which."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from harness.core import units
from harness.core.types import Evaluation
from harness.renderers.cases import Row
from harness.renderers.charts.shared import (
    MOST_CASES,
    SMALL,
    Bar,
    Chart,
    draw_bars,
    not_shown,
    sentences,
)
from harness.renderers.svg import Drawing, Theme, axes
from harness.renderers.view import View

MOST_CLASSES = 12  # whose confusion can still be read as a matrix
MOST_PAIRS = 10


def confusions(view: View, rows: list[Row]) -> list[Chart]:
    """A panel per evaluated artifact, those of the rows first: the matrix, or where there are too
    many classes for one the pairs that are confused most."""
    places = {v: i for i, v in enumerate(dict.fromkeys(r.case.variant for r in rows))}
    known = [e for e in view.report.evaluations if e.confusion]
    known.sort(key=lambda e: places.get(e.variant, len(places)))
    note = not_shown(len(known), MOST_CASES, "the JSON has all")
    return [_chart(e, f"confusion-{i + 1:02d}", note) for i, e in enumerate(known[:MOST_CASES])]


def _chart(e: Evaluation, key: str, note: str) -> Chart:
    name = units.name(e.variant)
    split = f"{units.printable(e.split)} split, {e.n} examples"
    if len(e.classes) <= MOST_CLASSES:
        caption = split
        draw = functools.partial(_draw_matrix, e)
        said = "; ".join(
            f"{units.name(label)} as {', '.join(map(str, row))}"
            for label, row in zip(e.classes, e.confusion, strict=True)
        )
        alt = f"Confusion matrix of {name}: {said}"
    else:
        pairs = _pairs(e)
        told = f"the {MOST_PAIRS} most confused of {len(pairs)} pairs"
        caption = sentences(
            f"{split}, {len(e.classes)} classes;",
            "none was taken for another."
            if not pairs
            else f"{told}."
            if len(pairs) > MOST_PAIRS
            else "every pair that was confused.",
        )
        draw = functools.partial(_draw_pairs, e)
        said = ", ".join(f"{a} taken for {b} {n} times" for n, a, b in pairs[:3])
        alt = f"Most confused classes of {name}: {said or 'none'}"
    return Chart(
        key=key, group="confusion", title=name, caption=caption, alt=alt, draw=draw, note=note
    )


def _pairs(e: Evaluation) -> list[tuple[int, str, str]]:
    """How often, what it was, what it was taken for; the most frequent first."""
    found = [
        (count, units.name(e.classes[i]), units.name(e.classes[j]))
        for i, row in enumerate(e.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(found, key=lambda x: (-x[0], x[1], x[2]))


def _draw_pairs(e: Evaluation, theme: Theme, width: int) -> Drawing:
    bars = [
        Bar(f"{a[:8]} → {b[:8]}", count, f"{a} taken for {b}: ")
        for count, a, b in _pairs(e)[:MOST_PAIRS]
    ]
    return draw_bars(bars or [Bar("none", 0, "no mistake: ")], lambda n: f"{n:.0f}", theme, width)


def _draw_matrix(e: Evaluation, theme: Theme, width: int) -> Drawing:
    from matplotlib.patches import Rectangle

    n = len(e.classes)
    names = [f"{c[:11]}…" if len(c) > 12 else c for c in map(units.name, e.classes)]
    left = 20 + int(7.2 * max(map(len, names)))
    side = min(112, (width - left - 8) // n)
    size = (width, n * min(side, 60) + 54)
    figure, ax = axes(theme, size, (left, width - left - n * side, 46, 8))
    tips: dict[str, str | Sequence[str]] = {}
    for i, row in enumerate(e.confusion):
        for j, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0.0
            colour = theme.series[0] if i == j else theme.series[1]
            box = Rectangle((j, i), 0.96, 0.96, color=colour, alpha=0.08 + 0.5 * share, lw=0)
            box.set_gid(f"cell-{i}-{j}")
            ax.add_patch(box)
            ax.text(j + 0.48, i + 0.48, str(count), ha="center", va="center", color=theme.ink)
            tips[f"cell-{i}-{j}"] = (
                f"{units.name(e.classes[i])} taken for {units.name(e.classes[j])}: {count} "
                f"({units.percent(share)})"
            )
    ax.set(xlim=(0, n), ylim=(n, 0))
    middles = [k + 0.48 for k in range(n)]
    fits = side >= 7.2 * max(map(len, names))
    ax.set_yticks(middles, names, fontsize=SMALL)
    ax.set_xticks(middles, names if fits else [x[:2] for x in names], fontsize=SMALL)
    ax.xaxis.tick_top()
    ax.spines["bottom"].set_visible(False)
    ax.annotate("taken for", (0.5, 1), (0, 28), xycoords="axes fraction", ha="center",
                textcoords="offset points", color=theme.muted, fontsize=SMALL)  # fmt: skip
    return Drawing(figure, tips)
