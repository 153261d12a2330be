"""Numbers with their intervals, and what a metric is."""

from __future__ import annotations

from harness.core.base import Direction, Value


class Estimate(Value, frozen=True):
    """A point with its interval. `confidence` is the level really reached (0 to 1), `n` the
    number of independent observations, which for timings is launches."""

    point: float
    ci_low: float
    ci_high: float
    confidence: float
    n: int

    @property
    def half_width(self) -> float:
        """Relative half-width: 0.03 means +-3 %."""
        return (self.ci_high - self.ci_low) / 2 / abs(self.point) if self.point else 0.0


class Measurement(Value, frozen=True):
    """One metric of one case. Either `point` is a number, or `absent_because` says why not.
    An interval that n cannot support is None, with the reason under its name in `absent`;
    likewise each percentile. `confidence` and `n` are of the interval."""

    unit: str
    point: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int = 0
    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None
    std: float | None = None
    absent: dict[str, str] = {}
    absent_because: str | None = None

    @property
    def estimate(self) -> Estimate | None:
        """The point with its interval; None if either is missing."""
        if self.point is None or self.ci_low is None or self.ci_high is None:
            return None
        return Estimate(
            point=self.point,
            ci_low=self.ci_low,
            ci_high=self.ci_high,
            confidence=self.confidence or 0.0,
            n=self.n,
        )


class MetricSpec(Value, frozen=True):
    """What a metric is: its unit ("ns", "bytes", "1", "count") and which way is better.
    An `exact` metric has no sampling error and needs no interval. Only `gated` metrics are
    compared with a baseline: each one more makes the correction for many comparisons stricter.
    `max_regression` is an exact metric's own threshold where the user gives none. An `optional`
    one is left out of a report where it is absent: not every device has it. Only labelled images
    give a `labelled` one.

    Of its column, `head` is the name where the title is too long for it, `place` where it stands
    in reading order, and `importance` when it gives way where not all fit: the highest first."""

    name: str
    unit: str
    direction: Direction
    title: str
    exact: bool = False
    gated: bool = True
    optional: bool = False
    labelled: bool = False
    max_regression: float | None = None
    head: str = ""
    place: int = 1000
    importance: int = 100
