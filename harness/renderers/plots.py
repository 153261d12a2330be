"""Every chart of a report as a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.renderers import charts, svg
from harness.renderers.view import View

Kind = Literal["svg", "png"]
NEEDS = ("matplotlib",)  # of the extra `report`


def plots(view: View, kind: Kind = "svg") -> dict[str, bytes]:
    """File name -> bytes: `pareto.svg`, `memory.svg`, `latency-01.svg`, ... in reading order,
    with the chart's title in it. Needs the extra `report` (matplotlib)."""
    return files(charts.charts_of(view), kind)


def files(found: Iterable[charts.Chart], kind: Kind = "svg") -> dict[str, bytes]:
    """The files of any charts."""
    with svg.drawing():
        return {
            f"{chart.key}.{kind}": svg.to_file(
                chart.draw(svg.PAPER, charts.width_of(chart)), kind, title=chart.title
            )
            for chart in found
        }
