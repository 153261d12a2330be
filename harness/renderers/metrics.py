"""Metrics as columns: their titles, their order, and the value of a case."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from harness.analysis.metric_specs import specs
from harness.core import units
from harness.core.errors import UsageError
from harness.core.types import CaseReport, Direction, Measurement, Report
from harness.system import plugins


def title(metric: str) -> str:
    """The head of the metric's column."""
    spec = specs().get(metric)
    return (spec.head if spec else "") or said(metric)


def said(metric: str) -> str:
    """The metric in a sentence; `recall of cracked` of recall:cracked, which only a comparison
    has."""
    spec = specs().get(metric)
    if spec is not None:
        return spec.title
    name, colon, of = metric.partition(":")
    return units.printable(f"{name} of {of}" if colon else name.replace("_", " "))


def direction(metric: str) -> Direction:
    """Which way is better; lower for a metric that only the report knows."""
    spec = specs().get(metric)
    return "lower" if spec is None else spec.direction


UNIMPORTANT = 100
DECIDES = 8  # the importance of the last metric that a choice usually turns on


def importance(metric: str) -> int:
    """The higher, the sooner its column is left out where not all fit."""
    spec = specs().get(metric)
    return UNIMPORTANT if spec is None else spec.importance


@functools.cache
def tails() -> dict[str, str]:
    """The metrics that are statistics of the latency -> the field of its Measurement."""
    return {name: spec.statistic for name, spec in specs().items() if spec.statistic}


def is_headline(metric: str) -> bool:
    """Whether its interval always stands beside it."""
    spec = specs().get(metric)
    return spec is not None and spec.headline


def is_bound(metric: str) -> bool:
    """Whether it is shown as the upper end of its interval, in percentage points."""
    spec = specs().get(metric)
    return spec is not None and spec.bound


def bound(case: CaseReport, metric: str) -> float | None:
    """The upper end of the metric's interval; None if absent."""
    m = measured(case, metric)
    return None if m is None else m.ci_high


def key_figures() -> list[str]:
    """The metrics at the top of a page, in reading order."""
    return [name for name, spec in specs().items() if spec.key_figure]


def leading(names: Iterable[str]) -> list[str]:
    """Those of `names` that matter most for a decision, for the left of a wide table."""
    return [name for name in names if importance(name) <= DECIDES]


def metrics_of(report: Report) -> list[str]:
    """All metrics that any case names, measured or absent, in reading order."""
    named = {name for case in report.cases for name in case.metrics}
    if "latency" in named:
        named |= tails().keys()
    known = specs()
    return [m for m in known if m in named] + sorted(named - known.keys())


def measured(case: CaseReport, metric: str) -> Measurement | None:
    """The metric if it has a point. In old reports a tail percentile is not a metric of its own:
    then it is read from `latency`, without an interval."""
    m = case.metrics.get(metric)
    if m is None and metric in tails() and (whole := case.metrics.get("latency")) is not None:
        m = Measurement(unit=whole.unit, point=getattr(whole, tails()[metric]))
    return None if m is None or m.point is None else m


def point(case: CaseReport, metric: str) -> float | None:
    """The metric's point; None if absent."""
    m = measured(case, metric)
    return None if m is None else m.point


def why_absent(case: CaseReport, metric: str) -> str:
    """The reason for a metric without a point."""
    m, whole = case.metrics.get(metric), case.metrics.get("latency")
    if m is None and metric in tails() and whole is not None:
        return whole.absent_because or whole.absent.get(tails()[metric], "not measured")
    if m is not None and m.absent_because:
        return m.absent_because
    return case.failure.message if case.failure else "not measured"


_RATIOS = ("smaller", "faster")


_FIELDS = ("variant", "device", "status")


def sortable(report: Report | None = None) -> list[str]:
    """What a table can be sorted by: fields, ratios, every metric there is, also those that only
    this report knows."""
    own = metrics_of(report) if report is not None else []
    return list(dict.fromkeys([*_FIELDS, *specs(), *own, *_RATIOS]))


def columns_known(report: Report | None = None) -> list[str]:
    """What a table can show: the same, and what nothing is sorted by."""
    return [*sortable(report), "launches", "within", "between", "outliers", "latency_bar",
            "size_bar", "macs"]  # fmt: skip


def unknown_column(name: str, known: Iterable[str]) -> UsageError:
    """The one line for a mistyped `--sort` or `--columns`."""
    return plugins.unknown("column", name, known)
