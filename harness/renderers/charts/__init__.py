"""The charts of a report. Each is a function from the report to figures, drawn when asked for.

Only what can be seen is drawn: a chart that has nothing to show is left out, and one that has
more cases than a reader can tell apart shows the first ones and says so in its caption.
"""

from __future__ import annotations

from harness.core.types import Report
from harness.renderers import view
from harness.renderers.charts import bars, confusion, files, launches, pareto, timeline
from harness.renderers.charts.shared import FULL, HALF, MOST_CASES, NARROW, Chart, not_shown

__all__ = ["FULL", "HALF", "MOST_CASES", "NARROW", "Chart", "charts_of", "not_shown", "width_of"]


def width_of(chart: Chart) -> int:
    """The width at which a chart that stands alone is drawn."""
    return HALF if chart.group in ("overview", "baseline") else NARROW


def charts_of(report: Report) -> list[Chart]:
    """All charts there is something to draw in, in reading order."""
    rows = view.rows_of(report)
    return [
        *bars.forest(report),
        *pareto.pareto(report, rows),
        *bars.memory(report, rows),
        *bars.accuracy(report, rows),
        *files.weights(report, rows),
        *confusion.confusions(report, rows),
        *timeline.timelines(report, rows),
        *launches.distributions(report, rows),
        *launches.minutes(report, rows),
        *launches.profiles(report, rows),
        *files.layers(report, rows),
    ]
