"""The charts of a report. Each is a function from the report to figures, drawn when asked for.

Only what can be seen is drawn: a chart that has nothing to show is left out, and one that has
more cases than a reader can tell apart shows the first ones and says so in its caption.
"""

from __future__ import annotations

from harness.core.types import Report
from harness.renderers import _view as view
from harness.renderers._charts import bars, files, launches, pareto
from harness.renderers._charts.shared import MOST_CASES, Chart

__all__ = ["MOST_CASES", "Chart", "charts_of"]


def charts_of(report: Report) -> list[Chart]:
    """All charts there is something to draw in, in reading order."""
    rows = view.rows_of(report)
    return [
        *bars.forest(report),
        *pareto.pareto(report, rows),
        *bars.memory(report, rows),
        *bars.accuracy(report, rows),
        *files.weights(report),
        *bars.confusions(report),
        *launches.timelines(report, rows),
        *launches.distributions(report, rows),
        *launches.minutes(report, rows),
        *launches.profiles(report, rows),
        *files.layers(report),
    ]
