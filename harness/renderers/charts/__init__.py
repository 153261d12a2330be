"""The charts of a report. Each is a function from the report to figures, drawn when asked for.

Only what can be seen is drawn: a chart that has nothing to show is left out, and one that has
more cases than a reader can tell apart shows the first ones and says so in its caption.
"""

from __future__ import annotations

from harness.renderers.charts import bars, confusion, files, launches, losses, pareto, timeline
from harness.renderers.charts.shared import FULL, HALF, MOST_CASES, NARROW, Chart, not_shown
from harness.renderers.view import View

__all__ = ["FULL", "HALF", "MOST_CASES", "NARROW", "Chart", "charts_of", "not_shown", "width_of"]


def width_of(chart: Chart) -> int:
    """The width at which a chart that stands alone is drawn."""
    return HALF if chart.group in ("overview", "baseline") else NARROW


def charts_of(view: View) -> list[Chart]:
    """All charts that have something to draw, in reading order."""
    rows = view.rows
    return [
        *bars.forest(view),
        *pareto.pareto(view, rows),
        *losses.losses(view, rows),
        *bars.memory(view, rows),
        *bars.accuracy(view, rows),
        *files.weights(view, rows),
        *confusion.confusions(view, rows),
        *timeline.timelines(view, rows),
        *launches.distributions(view, rows),
        *launches.minutes(view, rows),
        *launches.profiles(view, rows),
        *files.layers(view, rows),
    ]
