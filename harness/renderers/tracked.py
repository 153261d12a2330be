"""The names and numbers for services that keep the history of a benchmark.

They compare a number with those of earlier runs under the same name. So the name must not depend
on what else was measured, and a number that must not be used is left out: it would stay in the
history.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.core import units
from harness.core.types import CaseReport, Measurement
from harness.renderers import metrics
from harness.renderers.view import View


def name(case: CaseReport) -> str:
    """A name that is the same in every run: `pruned@pixel/litert/cpu/t1`, printable."""
    return units.printable(case.case.id)


def numbers(view: View, case: CaseReport) -> Iterator[tuple[str, Measurement, float]]:
    """Metric, measurement and its point, in reading order; none for an invalid case."""
    if case.status == "invalid":
        return
    for metric in view.metrics:
        m = metrics.measured(case, metric)
        if m is not None and m.point is not None:
            yield metric, m, whole(m.point)


def whole(value: float) -> float:
    """A whole number as an int, so that a report read back from its file is written the same."""
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
