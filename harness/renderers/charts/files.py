"""What the files are made of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from harness.core import units
from harness.core.types import Artifact
from harness.renderers.cases import Row
from harness.renderers.charts.shared import (
    MOST_CASES,
    Bar,
    Chart,
    Key,
    draw_bars,
    not_shown,
    row_height,
    rows_axes,
    sentences,
)
from harness.renderers.svg import Drawing, Theme
from harness.renderers.view import View


def in_order(view: View, rows: list[Row]) -> list[Artifact]:
    """The artifacts in the order of the rows, then those without a case."""
    places = {v: i for i, v in enumerate(dict.fromkeys(r.case.variant for r in rows))}
    return sorted(view.report.artifacts, key=lambda a: places.get(a.variant, len(places)))


def weights(view: View, rows: list[Row]) -> list[Chart]:
    """The share of each type of weights in each file; a row per artifact."""
    known = [a for a in in_order(view, rows) if a.weight_bytes]
    if not known:
        return []
    shown = known[:MOST_CASES]
    return [
        Chart(
            key="size",
            group="overview",
            title="What the files are made of",
            caption=sentences(
                "Weights by type, in shares of the file, with its size after the bar; the rest is "
                "the graph and its metadata.",
                not_shown(len(known), MOST_CASES, "all are under How it was measured"),
            ),
            alt="Bars of files by type of weights: "
            + "; ".join(
                f"{units.name(a.variant)} {units.file_size(a.size_bytes)}, "
                f"mostly {max(a.weight_bytes, key=lambda t: a.weight_bytes[t])}"
                for a in shown
            ),
            draw=lambda theme, width: _draw_weights(shown, theme, width),
        )
    ]


def _draw_weights(artifacts: Sequence[Artifact], theme: Theme, width: int) -> Drawing:
    types = list(dict.fromkeys(t for a in artifacts for t in a.weight_bytes))
    colours = {t: theme.series[i % len(theme.series)] for i, t in enumerate(types)}
    colours["other"] = theme.muted
    key = [Key(name, colour) for name, colour in colours.items()]
    names = [units.name(a.variant) for a in artifacts]
    figure, ax = rows_axes(theme, width, names, key, right=76)
    tips: dict[str, str | Sequence[str]] = {}
    for i, artifact in enumerate(artifacts):
        start = 0.0
        rest = max(0, artifact.size_bytes - sum(artifact.weight_bytes.values()))
        for kind, size in [*artifact.weight_bytes.items(), ("other", rest)]:
            share = 100 * size / artifact.size_bytes if artifact.size_bytes else 0.0
            (bar,) = ax.barh([i], [share], left=start, height=row_height(width),
                             color=colours[kind])  # fmt: skip
            bar.set_gid(f"weights-{i}-{kind}")
            tips[f"weights-{i}-{kind}"] = (
                f"{units.name(artifact.variant)}: {kind} {units.file_size(size)} of "
                f"{units.file_size(artifact.size_bytes)} ({units.percent(share / 100)})"
            )
            start += share
        ax.annotate(units.file_size(artifact.size_bytes), (1, i), (7, 0), va="center",
                    xycoords=("axes fraction", "data"), textcoords="offset points",
                    color=theme.ink)  # fmt: skip
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of the file, %", color=theme.muted)
    return Drawing(figure, tips)


def layers(view: View, rows: list[Row], most: int = 7) -> list[Chart]:
    """A panel per artifact: its largest layers."""
    known = [a for a in in_order(view, rows) if a.layers]
    note = not_shown(len(known), MOST_CASES, "the JSON has all")
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
            note=note,
        )
        for i, artifact in enumerate(known[:MOST_CASES])
    ]


def _largest(artifact: Artifact, most: int) -> list[Any]:
    return sorted(artifact.layers, key=lambda x: -x.size_bytes)[:most]


def _draw_layers(artifact: Artifact, most: int, theme: Theme, width: int) -> Drawing:
    largest = _largest(artifact, most)
    rest = sum(x.size_bytes for x in artifact.layers) - sum(x.size_bytes for x in largest)
    bars = [
        Bar(x.name, x.size_bytes, f"{x.name} ({x.op}): {x.parameters:,} parameters, ")
        for x in largest
    ]
    if rest > 0:
        bars.append(Bar(f"{len(artifact.layers) - len(largest)} others", rest, ""))
    return draw_bars(bars, units.file_size, theme, width)
