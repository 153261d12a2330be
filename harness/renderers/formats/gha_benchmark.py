"""What github-action-benchmark reads with `tool: customSmallerIsBetter`: a list of numbers.

Only costs are in it: times, sizes, memory and counts. The action compares ratios and treats more as
worse, which fits neither an accuracy nor a loss near zero. Source: `BenchmarkResult` in
https://github.com/benchmark-action/github-action-benchmark/blob/master/src/extract.ts
"""

from __future__ import annotations

import msgspec

from harness.core.types import CaseReport, Measurement
from harness.renderers import metrics, tracked
from harness.renderers.view import View

_COSTS = ("ns", "bytes", "count")


def render(view: View) -> bytes:
    """JSON: `[{"name", "unit", "value", "range", "extra"}]`, times in ns, sizes in bytes. `range`
    is the interval, and is left out where there is none. A case without a number to keep has
    no entry."""
    entries = [
        _entry(view, case, metric, m, point)
        for case in view.report.cases
        for metric, m, point in tracked.numbers(view, case)
        if m.unit in _COSTS and metrics.direction(metric) == "lower"
    ]
    return msgspec.json.format(msgspec.json.encode(entries), indent=1) + b"\n"


def _entry(
    view: View, case: CaseReport, metric: str, m: Measurement, point: float
) -> dict[str, str | float]:
    entry: dict[str, str | float] = {
        "name": f"{tracked.name(case)} {metric}",
        "unit": m.unit,
        "value": point,
    }
    about = [f"run {view.report.run_id}", f"status {case.status}"]
    if view.emulated([case.device]):
        about.append("emulated: no phone")
    interval = m.estimate
    if interval is not None:
        entry["range"] = f"{interval.ci_low:.6g} to {interval.ci_high:.6g}"
        about.append(f"{interval.confidence:.0%} interval, n = {interval.n}")
    return entry | {"extra": "\n".join(about)}
