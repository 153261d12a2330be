"""Bencher Metric Format: what `bencher run --adapter json --file FILE` reads.

A case is a benchmark and each of its metrics a measure, with our interval as its lower and upper
value. Bencher knows the measure `latency` (in ns) from the start, and makes the others when it
first sees them. Source: https://bencher.dev/docs/reference/bencher-metric-format
"""

from __future__ import annotations

import msgspec

from harness.core.types import Measurement
from harness.renderers import tracked
from harness.renderers.view import View


def render(view: View) -> bytes:
    """JSON: `{case: {measure: {"value", "lower_value", "upper_value"}}}`, times in ns, sizes in
    bytes. A case without a number to keep is an empty object, since the format has no place for
    the reason. Without an interval there is only the value."""
    found = {
        tracked.name(case): {
            metric.replace("_", "-"): _metric(m, point)
            for metric, m, point in tracked.numbers(view, case)
        }
        for case in view.report.cases
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _metric(m: Measurement, point: float) -> dict[str, float]:
    interval = m.estimate
    if interval is None:
        return {"value": point}
    low, high = map(tracked.whole, (interval.ci_low, interval.ci_high))
    return {"value": point, "lower_value": low, "upper_value": high}
