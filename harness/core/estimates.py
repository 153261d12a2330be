"""Numbers with their intervals, and what a metric is."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Direction, Value
from harness.core.choices import CostKind

Quantity = Literal["time", "file size", "memory", "energy", "ratio", "count"]

# What a number is, by its unit. Bytes are memory unless the metric says that they are a file's.
QUANTITIES: dict[str, Quantity] = {
    "ns": "time",
    "bytes": "memory",
    "J": "energy",
    "1": "ratio",
    "count": "count",
}


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
    so is each percentile. `confidence` and `n` belong to the interval."""

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


class Outlier(Value, frozen=True):
    """A launch whose median lies outside Tukey's fences over the launches of its case: mild beyond
    1.5 interquartile ranges from the quartiles, severe beyond 3. It is named and kept: nothing is
    computed without it."""

    launch: int
    label: Literal["low severe", "low mild", "high mild", "high severe"]


class Noise(Value, frozen=True):
    """How the latency of a case scattered over `launches`. `within_ns` is the standard deviation of
    iterations about their launch, `between_ns` that of launches about the whole, without what
    iterations alone would cause; `between_share` is the part of the variance (0 to 1) that more
    iterations cannot reduce and only more launches can. These three are None if the launches are
    too few or report no spread, and `absent_because` says so."""

    launches: int
    within_ns: float | None = None
    between_ns: float | None = None
    between_share: float | None = None
    absent_because: str | None = None
    outliers: tuple[Outlier, ...] = ()


class RunDrift(Value, frozen=True):
    """Whether latency rose or fell during the run on a device, over all its cases together, each
    launch relative to the median of its case. `change` is from the first launch to the last (0.05:
    5 % slower), with its interval; `p` is how often chance alone does as much."""

    device: str
    cases: int
    launches: int
    change: float
    ci_low: float
    ci_high: float
    confidence: float
    p: float


class Loss(Value, frozen=True):
    """How much less accurate a variant is than the best of those measured, in shares (0.02 is two
    points): the `point` seen, an upper `bound`, and what it is `at_least`. Either limit holds for
    all variants together with 95 % confidence. `n` is the number of images."""

    point: float
    bound: float
    at_least: float = 0.0
    n: int = 0


class Cost(Value, frozen=True):
    """A metric that the verdict weighs, and the words for a ratio to another variant: `74x
    smaller`. It is what `--prefer` of this `kind` chooses by. It only stands in for the metric
    `instead_of`, and is left out where that is known."""

    kind: CostKind
    better: str
    worse: str
    instead_of: str = ""


class MetricSpec(Value, frozen=True):
    """All that the rest of the harness knows about a metric: its unit ("ns", "bytes", "J", "1",
    "count"), which direction is better, and the following.

    An `exact` metric has no sampling error and needs no interval. Only `gated` metrics are compared
    with a baseline, because each further metric makes the correction for many comparisons stricter.
    `max_regression` is an exact metric's own threshold where the user gives none. An `optional` one
    is left out of a report where it is absent: not every device has it. Only labelled images give a
    `labelled` one.

    `raw` is the field of a Launch that holds the value of one launch (a field with many values
    counts by their median; "counters" means the counter of the metric's name); it is empty if a
    single launch has none. `statistic` names a field of the latency's Measurement which is the
    same number, without its interval. `cost` is set for what the verdict weighs.

    A `bound` is shown as the upper end of its interval, in percentage points: what counts is how
    much it may be. A size in bytes is that of a file, shown in MB (10^6), if it is a `file_size`,
    else memory, shown in MiB (2^20).

    For its column, `head` is a short name to use where the title is too long, `place` its position
    in reading order, and `importance` when it is left out where not all fit: the highest number
    first. A `headline` metric always has its interval beside it, and a `key_figure` is at the top
    of the page."""

    name: str
    unit: str
    direction: Direction
    title: str
    exact: bool = False
    gated: bool = True
    optional: bool = False
    labelled: bool = False
    max_regression: float | None = None
    raw: str = ""
    statistic: str = ""
    cost: Cost | None = None
    file_size: bool = False
    bound: bool = False
    head: str = ""
    place: int = 1000
    importance: int = 100
    headline: bool = False
    key_figure: bool = False

    @property
    def quantity(self) -> Quantity:
        """What kind of number it is, which decides the units in which it is shown."""
        return "file size" if self.file_size else QUANTITIES[self.unit]
