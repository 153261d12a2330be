"""How accurate a classifier is, with intervals: pure functions of scores, decisions and labels.

Examples are the sampling unit: a test split is a sample of the images to come. Intervals have a
level of 95 % unless another is given, and stay inside their range at 0 and 1, where the textbook's
normal interval collapses to a point.

Sources: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22
(1927). Zou & Donner, "Construction of Confidence Limits about Effect Measures", Statistics in
Medicine 27 (2008), for the mean of recalls. Hanley & McNeil, "The Meaning and Use of the Area
under a ROC Curve", Radiology 143 (1982), in the score form of Newcombe, "Confidence Intervals for
an Effect Size Measure Based on the Mann-Whitney Statistic, Part 2", Statistics in Medicine 25
(2006), method 5. McNemar, Psychometrika 12 (1947), exact. Newcombe, "Improved Confidence Intervals
for the Difference between Binomial Proportions Based on Paired Data", Statistics in Medicine 17
(1998), method 10. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

from harness.core.types import Agreement, Estimate, Evaluation
from harness.stats.summaries import CONFIDENCE

CALIBRATION_BINS = 10
LEAST_FOR_CALIBRATION = 20

Rows = Sequence[Sequence[float]]


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


# --- shares ----------------------------------------------------------------------------------


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share of `n` independent examples (n > 0) with Wilson's score interval."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is not a share")
    z2 = _z(confidence) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Estimate(
        point=p,
        ci_low=0.0 if successes == 0 else centre - reach,
        ci_high=1.0 if successes == n else centre + reach,
        confidence=confidence,
        n=n,
    )


def accuracy(right: Sequence[bool], confidence: float = CONFIDENCE) -> Estimate:
    """Share of examples decided as labelled; Wilson interval."""
    return wilson(sum(right), len(right), confidence)


def confusion(
    decisions: Sequence[int], truth: Sequence[int], classes: int
) -> tuple[tuple[int, ...], ...]:
    """Counts: a row per label, a column per decision; who decided nothing (-1) is not counted."""
    counts = [[0] * classes for _ in range(classes)]
    for label, decision in zip(truth, decisions, strict=True):
        if decision >= 0:
            counts[label][decision] += 1
    return tuple(map(tuple, counts))


def balanced_accuracy(
    matrix: Sequence[Sequence[int]], confidence: float = CONFIDENCE
) -> Estimate | None:
    """Mean of the classes' recalls; None if a class has no example. Each recall has a Wilson
    interval, and their distances to either side add up in quadrature (Zou & Donner)."""
    recalls = [
        wilson(row[label], sum(row), confidence) for label, row in enumerate(matrix) if sum(row)
    ]
    if len(recalls) < len(matrix) or not recalls:
        return None
    k = len(recalls)
    point = fmean(r.point for r in recalls)
    below = math.sqrt(sum((r.point - r.ci_low) ** 2 for r in recalls)) / k
    above = math.sqrt(sum((r.ci_high - r.point) ** 2 for r in recalls)) / k
    return Estimate(
        point=point,
        ci_low=max(0.0, point - below),
        ci_high=min(1.0, point + above),
        confidence=confidence,
        n=sum(map(sum, matrix)),
    )


# --- ranking ---------------------------------------------------------------------------------


def auc(
    scores: Sequence[float], positive: Sequence[bool], confidence: float = CONFIDENCE
) -> Estimate | None:
    """Area under the ROC curve: how probably a positive example scores above a negative one, ties
    half. None unless there are both. The interval solves for the areas under which the one seen
    is within z standard errors of Hanley & McNeil, so it holds at an area of 1 too."""
    pairs = sorted(zip(scores, positive, strict=True))
    m = sum(positive)
    n = len(pairs) - m
    if m == 0 or n == 0:
        return None
    wins, negatives, at = 0.0, 0, 0
    while at < len(pairs):
        tied = at
        while tied < len(pairs) and pairs[tied][0] == pairs[at][0]:
            tied += 1
        here = sum(p for _, p in pairs[at:tied])
        wins += here * (negatives + (tied - at - here) / 2)
        negatives += tied - at - here
        at = tied
    area = wins / (m * n)
    z2, more = _z(confidence) ** 2, (m + n) / 2 - 1

    def outside(t: float) -> bool:
        spread = 1 + more * ((1 - t) / (2 - t) + t / (1 + t))
        return (t - area) ** 2 > z2 * t * (1 - t) * spread / (m * n)

    return Estimate(
        point=area,
        ci_low=_boundary(outside, 0.0, area),
        ci_high=_boundary(outside, 1.0, area),
        confidence=confidence,
        n=m + n,
    )


def _boundary(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Where `outside` ends between `far` and `near`, by bisection."""
    if not outside(far):
        return far
    for _ in range(60):
        middle = (far + near) / 2
        if outside(middle):
            far = middle
        else:
            near = middle
    return far


# --- probabilities ---------------------------------------------------------------------------


def are_probabilities(rows: Rows) -> bool:
    """Whether every score is within [0, 1] and those of an example add up to 1, within the few
    steps by which an int8 output may miss it."""
    return all(min(row) >= 0 and max(row) <= 1 and abs(sum(row) - 1) <= 0.1 for row in rows)


def log_loss(
    rows: Rows, truth: Sequence[int], step: float = 0.0, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Mean of -ln(score of the label), with the normal interval of a mean; None for fewer than two
    examples. A score counts as at least half the output's `step`: an int8 output is 0 for anything
    below that, and its loss would have no bound."""
    least = max(step / 2, 1e-7)
    losses = [-math.log(min(1.0, max(row[t], least))) for row, t in zip(rows, truth, strict=True)]
    if len(losses) < 2:
        return None
    mean = fmean(losses)
    reach = _z(confidence) * stdev(losses) / math.sqrt(len(losses))
    return Estimate(
        point=mean,
        ci_low=max(0.0, mean - reach),
        ci_high=mean + reach,
        confidence=confidence,
        n=len(losses),
    )


def calibration_error(rows: Rows, truth: Sequence[int]) -> float | None:
    """Expected calibration error: how far the confidence of decisions is from their accuracy, on
    average over examples (Guo et al.). Ten bins of equal width from 1 / classes, the least that a
    decision's score can be, to 1. None for fewer than 20 examples. There is no interval: with few
    examples a bin errs upwards by chance, which no resampling takes back."""
    if len(rows) < LEAST_FOR_CALIBRATION:
        return None
    least = 1 / len(rows[0])
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(CALIBRATION_BINS)]
    for row, label in zip(rows, truth, strict=True):
        sure = max(row)
        place = int((sure - least) / (1 - least) * CALIBRATION_BINS)
        bins[min(max(place, 0), CALIBRATION_BINS - 1)].append((sure, row.index(sure) == label))
    gaps = (abs(sum(s for s, _ in found) - sum(r for _, r in found)) for found in bins)
    return sum(gaps) / len(rows)


# --- two artifacts on the same examples ------------------------------------------------------


def agreement(artifact: Evaluation, parent: Evaluation) -> Agreement | None:
    """How much the answers of `artifact` agree with those of `parent` on the examples that both
    answered; None if there are none."""
    n = examples_of_both(artifact, parent)
    if not n:
        return None
    pairs = zip(artifact.rows[:n], parent.rows[:n], strict=True)
    differences = [abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True)]
    decided = zip(artifact.decisions[:n], parent.decisions[:n], strict=True)
    return Agreement(
        parent=parent.variant,
        n=n,
        equal=sum(a == b for a, b in decided),
        largest=max(differences),
        mean=fmean(differences),
    )


def examples_of_both(first: Evaluation, second: Evaluation) -> int:
    """How many of the first examples of one split both answered; 0 if they saw others. A variant
    whose part in the decision was settled has stopped before the last."""
    n = min(first.n, second.n)
    alike = first.truth[:n] == second.truth[:n]
    split = (first.fingerprint, first.classes) == (second.fingerprint, second.classes)
    return n if alike and split else 0


class Paired(NamedTuple):
    """Two classifiers on the same examples: how many only the first and only the second got
    right, the two-sided exact p of McNemar, and the first's accuracy minus the second's."""

    only_first: int
    only_second: int
    p: float
    difference: Estimate


def paired(first: Sequence[bool], second: Sequence[bool], confidence: float = CONFIDENCE) -> Paired:
    """Compare two classifiers by which of the same examples they got right (n > 0)."""
    pairs = list(zip(first, second, strict=True))
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    return Paired(
        only_first=only_first,
        only_second=only_second,
        p=mcnemar(only_first, only_second),
        difference=difference(both, only_first, only_second, neither, confidence),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p: were the two equally accurate, each example on which they differ would
    favour either with probability one half."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    total, term = 0, 1
    for i in range(fewer + 1):
        total += term
        term = term * (n - i) // (i + 1)
    return min(1.0, float(2 * total / 2**n))


def difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = CONFIDENCE
) -> Estimate:
    """Accuracy of the first minus that of the second on the same examples (Newcombe's method 10:
    Wilson's limits of either, combined with their correlation)."""
    n = both + only_first + only_second + neither
    one = wilson(both + only_first, n, confidence)
    two = wilson(both + only_second, n, confidence)
    covariance = float(both * neither - only_first * only_second)
    if covariance > 0:
        covariance = max(covariance - n / 2, 0.0)
    scale = math.sqrt(
        (both + only_first)
        * (only_second + neither)
        * (both + only_second)
        * (only_first + neither)
    )
    phi = covariance / scale if scale else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    point = one.point - two.point
    return Estimate(
        point=point,
        ci_low=max(-1.0, point - reach(one.point - one.ci_low, two.ci_high - two.point)),
        ci_high=min(1.0, point + reach(one.ci_high - one.point, two.point - two.ci_low)),
        confidence=confidence,
        n=n,
    )
