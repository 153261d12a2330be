"""What the files are made of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from harness.core import units
from harness.core.types import Artifact, Report
from harness.renderers._charts.shared import (
    MOST_CASES,
    Bar,
    Chart,
    axis_label,
    draw_bars,
    rows_axes,
    short,
    square_key,
)
from harness.renderers._svg import Drawing, Theme


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
    figure, ax = rows_axes(theme, [short(units.name(a.variant)) for a in artifacts])
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
    ax.set_xlabel(axis_label("size", scale), color=theme.muted)
    square_key(ax, [*colours.items(), ("other", theme.grid)], theme)
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
    bars = [
        Bar(x.name, x.size_bytes, f"{x.name} ({x.op}): {x.parameters:,} parameters, ")
        for x in largest
    ]
    if rest > 0:
        bars.append(Bar(f"{len(artifact.layers) - len(largest)} others", rest, ""))
    return draw_bars(bars, units.file_size, theme)
