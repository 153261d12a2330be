"""Statistics of a few launches: medians with intervals, summaries, spread, outliers.

Plain Python on purpose: these are called after every round of a bench, on a few dozen numbers,
where importing numpy would cost more than the work. What needs numpy is in `stats/bootstrap.py`
and `stats/series.py`. docs/explanation/statistics.md explains all of it without formulas.

Sources: Hettmansperger & Sheather, "Confidence intervals based on interpolated order statistics",
Statistics & Probability Letters 4 (1986) 75-79. Wilks, "Determination of sample sizes for setting
tolerance limits", Annals of Mathematical Statistics 12 (1941) 91-96. Tukey, "Exploratory Data
Analysis" (1977).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from statistics import fmean, median
from typing import Literal

import msgspec

from harness.core.types import Estimate, LatencySummary, Launch, Measurement, MetricSpec, Value
from harness.stats.series import effective_n

CONFIDENCE = 0.95
MIN_LAUNCHES = 5
TAILS = {"p90": 0.90, "p95": 0.95, "p99": 0.99}


# --- the median of launches ------------------------------------------------------------------


def launch_medians(launches: Iterable[Launch]) -> list[float]:
    """The median latency of each launch, in ns, in the order given; launches that timed no
    iteration are left out."""
    return [m for launch in launches if (m := launch_median(launch)) is not None]


def launch_median(launch: Launch) -> float | None:
    """The median latency of one launch in ns, from its iterations or, where the runner reports no
    single ones, as the runner reports it. None if nothing was timed."""
    if launch.latency_ns:
        return float(median(launch.latency_ns))
    summary = launch.latency_summary
    return None if summary is None else float(summary.median_ns)


def observed(launch: Launch, spec: MetricSpec) -> float | None:
    """The value of a metric in one launch, from the field that `spec.raw` names. None if the launch
    did not observe it, or if a single launch has no value of this metric."""
    if not spec.raw:
        return None
    if spec.raw == "counters":
        count = launch.counters.get(spec.name)
        return None if count is None else float(count)
    if spec.raw == "latency_ns":  # or, from some runners, only a summary
        return launch_median(launch)
    value = getattr(launch, spec.raw)
    return None if value is None else float(value)


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The median of independent `values` with its interval; None for fewer than five.

    Interpolated order statistics (Hettmansperger & Sheather 1986): which order statistics enclose
    the median is a binomial count that holds for every continuous distribution, and the
    interpolation between two neighbouring pairs of them meets `confidence` closely. Where even the
    extremes do not reach it (n = 5: 93.75 %), they are the interval, with their own level.
    """
    n = len(values)
    if n < MIN_LAUNCHES:
        return None
    ordered = sorted(values)
    rank, reached, wider, narrower = _ranks(n, confidence)
    low, high = float(ordered[rank - 1]), float(ordered[n - rank])
    if wider > confidence:
        share = (wider - confidence) / (wider - narrower)
        weight = (n - rank) * share / (rank + (n - 2 * rank) * share)
        low += weight * (ordered[rank] - low)
        high += weight * (ordered[n - rank - 1] - high)
    return Estimate(point=float(median(ordered)), ci_low=low, ci_high=high, confidence=reached, n=n)


@lru_cache(maxsize=512)
def _ranks(n: int, confidence: float) -> tuple[int, float, float, float]:
    """(rank of the outer pair of order statistics, level the interval reaches, level of the outer
    pair, level of the next pair inwards)."""
    below, total = 0, 2**n  # below / total is P(Binomial(n, 1/2) < rank)
    rank, wider, narrower = 0, 1.0, 1.0
    while 2 * (rank + 1) <= n:
        rank += 1
        below += math.comb(n, rank - 1)
        wider = 1 - 2 * below / total
        narrower = 1 - 2 * (below + math.comb(n, rank)) / total
        if narrower < confidence:
            break
    return rank, min(wider, confidence), wider, narrower


# --- summaries -------------------------------------------------------------------------------


class Summary(Value, frozen=True):
    """The statistics of a sample, named as in Measurement. What n cannot support is None, and
    `absent` says why. `std` is the sample's (n - 1)."""

    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None
    std: float | None = None
    absent: dict[str, str] = {}


def needed_for(p: float, confidence: float = CONFIDENCE) -> int:
    """How many independent values a tail percentile needs: the fewest whose largest one lies above
    the true percentile with the given confidence, 1 - p^n >= confidence (Wilks 1941). With fewer,
    the sample has no upper bound for it, and the number would only be the maximum. 29 for p90, 59
    for p95, 299 for p99."""
    return math.ceil(math.log(1 - confidence) / math.log(p))


def summary(values: Sequence[float]) -> Summary:
    """Summary of one sample of independent values, such as one value per launch."""
    return _summary([values], float(len(values)))


def summary_of_iterations(groups: Sequence[Sequence[float]]) -> Summary:
    """Summary of the iterations of several launches. Every launch weighs the same, however many
    iterations it had time for: the percentiles are those of any iteration of any launch. Whether a
    tail is supported depends on the effective number of iterations, which takes autocorrelation
    into account."""
    groups = [group for group in groups if group]
    return _summary(groups, sum(effective_n(group) for group in groups))


def _summary(groups: Sequence[Sequence[float]], effective: float) -> Summary:
    groups = [group for group in groups if group]
    n = sum(map(len, groups))
    if not n:
        names = (field for field in Summary.__struct_fields__ if field != "absent")
        return Summary(absent=dict.fromkeys(names, "nothing was observed"))
    weighted = sorted((float(v), 1 / len(g) / len(groups)) for g in groups for v in g)
    mean = fmean(fmean(g) for g in groups)
    absent = {
        name: f"{effective:.0f} independent values cannot bound it; {needed_for(p)} can"
        for name, p in TAILS.items()
        if effective < needed_for(p)
    }
    if n < 2:
        absent["std"] = "one value has no spread"
    return Summary(
        min=weighted[0][0],
        p50=_quantile(weighted, 0.5),
        mean=mean,
        std=None
        if n < 2
        else math.sqrt(sum(w * (v - mean) ** 2 for v, w in weighted) * n / (n - 1)),
        absent=absent,
        **{name: _quantile(weighted, p) for name, p in TAILS.items() if name not in absent},
    )


def _quantile(weighted: Sequence[tuple[float, float]], p: float) -> float:
    """The value below which the share `p` of the weight lies; between two values when the share
    ends exactly there, so that the 0.5 of an even count is the usual median."""
    total = 0.0
    for i, (value, weight) in enumerate(weighted):
        total += weight
        if abs(total - p) < 1e-9 and i + 1 < len(weighted):
            return (value + weighted[i + 1][0]) / 2
        if total > p:
            return value
    return weighted[-1][0]


# --- measurements ----------------------------------------------------------------------------


def measure(
    values: Sequence[float], unit: str, *, confidence: float = CONFIDENCE, absent_because: str = ""
) -> Measurement:
    """A metric of which every launch has one value (init, peak RSS ...): the median over
    launches with its interval. `absent_because` is the reason if there are no values."""
    return _measurement(values, unit, summary(values), confidence, absent_because)


def measure_iterations(
    groups: Sequence[Sequence[float]],
    unit: str,
    *,
    confidence: float = CONFIDENCE,
    absent_because: str = "",
) -> Measurement:
    """A metric of which every launch has many values (latency): the median of the launches'
    medians with its interval over launches; percentiles, mean and spread over iterations."""
    medians = [float(median(group)) for group in groups if group]
    return _measurement(medians, unit, summary_of_iterations(groups), confidence, absent_because)


def measure_summaries(summaries: Sequence[LatencySummary], unit: str) -> Measurement:
    """Latency of launches whose runner reports a summary of each and no single iterations: the
    median of the launches' medians with its interval over launches. Mean and spread follow exactly
    from the parts, every launch weighing the same; percentiles of all do not."""
    medians = [float(s.median_ns) for s in summaries]
    lowest = [s.min_ns for s in summaries if s.min_ns is not None]
    means = [float(s.mean_ns) for s in summaries if s.mean_ns is not None]
    stds = [float(s.std_ns) for s in summaries if s.std_ns is not None]
    n = sum(s.count for s in summaries)
    known = n > 1 and len(means) == len(stds) == len(summaries) > 0
    mean = fmean(means) if len(means) == len(summaries) > 0 else None
    variance = (
        fmean(s**2 for s in stds) + fmean((m - fmean(means)) ** 2 for m in means) if known else 0.0
    )
    absent = dict.fromkeys(("p50", *TAILS), "the runner reports no single iterations")
    fields = Summary(
        min=float(min(lowest)) if lowest else None,
        mean=mean,
        std=math.sqrt(variance * n / (n - 1)) if known else None,
        absent=absent | ({} if known else {"std": "the runner reports no spread"}),
    )
    return _measurement(medians, unit, fields, CONFIDENCE, "")


def _measurement(
    values: Sequence[float], unit: str, fields: Summary, confidence: float, absent_because: str
) -> Measurement:
    if not values:
        return Measurement(
            unit=unit, point=None, absent_because=absent_because or "no launch observed it"
        )
    interval = median_interval(values, confidence)
    known = msgspec.structs.asdict(fields)
    if interval is None:
        n = f"{len(values)} launch" + ("es give" if len(values) > 1 else " gives")
        known["absent"] = {**fields.absent, "ci": f"{n} no interval; {MIN_LAUNCHES} do"}
        return Measurement(unit=unit, point=float(median(values)), n=len(values), **known)
    return Measurement(
        unit=unit,
        point=interval.point,
        ci_low=interval.ci_low,
        ci_high=interval.ci_high,
        confidence=interval.confidence,
        n=interval.n,
        **known,
    )


# --- spread and outliers ---------------------------------------------------------------------


class Spread(Value, frozen=True):
    """Standard deviations in the unit of the data. `within`: of iterations about their launch;
    `between`: of launches about the whole, minus what iterations alone would cause. `between_share`
    is the part of the variance (0 to 1) that more iterations cannot reduce."""

    within: float
    between: float
    between_share: float


def spread(groups: Sequence[Sequence[float]]) -> Spread | None:
    """Variance components of one-way random effects, unbalanced analysis of variance (Searle,
    Casella & McCulloch, "Variance Components", 1992, section 3.6). None unless there are at least
    two launches and one of them has two iterations."""
    groups = [group for group in groups if group]
    means = [fmean(g) for g in groups]
    ss_within = sum((v - m) ** 2 for g, m in zip(groups, means, strict=True) for v in g)
    return _spread([len(g) for g in groups], means, ss_within)


def spread_of_summaries(summaries: Sequence[LatencySummary]) -> Spread | None:
    """The same of launches whose runner reports a mean and a standard deviation of each; None if
    it does not."""
    if any(s.mean_ns is None or s.std_ns is None for s in summaries):
        return None
    ss_within = sum(s.count * float(s.std_ns or 0) ** 2 for s in summaries)
    return _spread(
        [s.count for s in summaries], [float(s.mean_ns or 0) for s in summaries], ss_within
    )


def _spread(sizes: Sequence[int], means: Sequence[float], ss_within: float) -> Spread | None:
    count, total = len(sizes), sum(sizes)
    if count < 2 or total <= count:
        return None
    grand = sum(n * m for n, m in zip(sizes, means, strict=True)) / total
    ss_between = sum(n * (m - grand) ** 2 for n, m in zip(sizes, means, strict=True))
    within = ss_within / (total - count)
    typical = (total - sum(n**2 for n in sizes) / total) / (count - 1)
    between = max(0.0, (ss_between / (count - 1) - within) / typical)
    return Spread(
        within=math.sqrt(within),
        between=math.sqrt(between),
        between_share=between / (within + between) if within + between else 0.0,
    )


Label = Literal["low severe", "low mild", "", "high mild", "high severe"]


def outliers(values: Sequence[float]) -> list[Label]:
    """A label per value by Tukey's fences: mild beyond 1.5, severe beyond 3 interquartile ranges
    from the quartiles; empty for what lies inside. They are named, never dropped."""
    if len(values) < 4:
        return [""] * len(values)
    ordered = sorted((float(v), 1 / len(values)) for v in values)
    q1, q3 = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    iqr = q3 - q1

    def label(v: float) -> Label:
        if v < q1 - 1.5 * iqr:
            return "low severe" if v < q1 - 3 * iqr else "low mild"
        if v > q3 + 1.5 * iqr:
            return "high severe" if v > q3 + 3 * iqr else "high mild"
        return ""

    return [label(v) for v in values]
