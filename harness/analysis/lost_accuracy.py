"""How much accuracy a candidate may have lost against a baseline, or how much balanced accuracy or
recall of a class, where that is protected.

Where both answered the same labelled images, they are compared image by image by the exact test of
`stats/paired_loss.py`. Else only the two intervals are known, and their distances combine in
quadrature (Newcombe, "Interval Estimation for the Difference between Independent Proportions",
Statistics in Medicine 17, 1998, method 10).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from harness.analysis.losses import ACCURACY, BALANCED, Protected
from harness.core.types import CaseReport, Estimate, Evaluation, Loss, Value
from harness.stats.accuracy import examples_of_both, wilson
from harness.stats.looks import parts
from harness.stats.summaries import CONFIDENCE

PLAIN = Protected(what=ACCURACY)


class LostAccuracy(Value, frozen=True):
    """The candidate's loss with one-sided limits. `p_lost` is small where a loss beyond the margin
    is shown, `p_gained` where a gain beyond it is."""

    loss: Loss
    p_lost: float
    p_gained: float
    paired: bool


def estimate_of(
    case: CaseReport, answers: Evaluation | None, protected: Protected
) -> Estimate | None:
    """How accurate a case is by what is protected; None if that is not known."""
    if not protected.name:
        measured = case.metrics.get(protected.what)
        return None if measured is None else measured.estimate
    if answers is None or answers.failure or protected.name not in answers.classes:
        return None
    place = answers.classes.index(protected.name)
    row = answers.confusion[place] if answers.confusion else ()
    return wilson(row[place], sum(row)) if sum(row) else None


class _Counts(NamedTuple):
    """How many of `n` images only the baseline got right (`lost`), and how many only the candidate
    (`gained`)."""

    lost: int
    gained: int
    n: int


def paired(
    before: Evaluation | None,
    after: Evaluation | None,
    margin: float,
    confidence: float = CONFIDENCE,
    protected: Protected = PLAIN,
) -> LostAccuracy | None:
    """For two that answered the same images; None if they did not. Where one of them stopped before
    the last image, only images that both answered count."""
    if before is None or after is None or before.failure or after.failure:
        return None
    n = examples_of_both(before, after)
    groups = _counted(before, after, n, protected) if n else []
    if not groups:
        return None
    alpha = (1 - confidence) * min(_part(before, n), _part(after, n))
    swapped = [_Counts(g.gained, g.lost, g.n) for g in groups]
    return LostAccuracy(
        loss=Loss(
            point=_seen(groups),
            bound=_most(groups, alpha),
            at_least=-_most(swapped, alpha),
            n=sum(g.n for g in groups),
        ),
        p_lost=_p_less(swapped, -margin),
        p_gained=_p_less(groups, -margin),
        paired=True,
    )


def _counted(before: Evaluation, after: Evaluation, n: int, protected: Protected) -> list[_Counts]:
    """One group for all images or for those of the class, one for each class of which there are
    images for balanced accuracy."""
    labels = before.truth[:n]
    pairs = list(zip(before.right[:n], after.right[:n], strict=True))
    if protected.what == BALANCED:
        wanted = [{label} for label in sorted(set(labels))]
    elif protected.name:
        wanted = [{i for i, name in enumerate(before.classes) if name == protected.name}]
    else:
        wanted = [set(labels)]
    kept = [[p for p, x in zip(pairs, labels, strict=True) if x in group] for group in wanted]
    return [_Counts(g.count((True, False)), g.count((False, True)), len(g)) for g in kept if g]


def _part(answers: Evaluation, n: int) -> float:
    """The part of the error rate that may be spent on a comparison over the first `n` images, if
    these were one of the looks at `answers`; 1 if there was no look at `n`."""
    if n not in answers.looks:
        return 1.0
    return parts(answers.looks, 1.0)[answers.looks.index(n)]


def _seen(groups: list[_Counts]) -> float:
    return sum((g.lost - g.gained) / g.n for g in groups) / len(groups)


def _most(groups: list[_Counts], alpha: float) -> float:
    """The one-sided upper bound of the loss. With several classes the distances of their bounds
    combine in quadrature, as in `stats/with_the_best.py`."""
    from harness.stats import paired_loss

    above = [
        float(paired_loss.upper(g.lost, g.gained, g.n, alpha)[0]) - (g.lost - g.gained) / g.n
        for g in groups
    ]
    return _seen(groups) + math.hypot(*above) / len(groups)


def _p_less(groups: list[_Counts], loss: float) -> float:
    """One-sided p of "the true loss is at least `loss`"."""
    from harness.stats import paired_loss

    if len(groups) == 1:
        (g,) = groups
        return float(paired_loss.p_at_least(g.lost, g.gained, g.n, loss)[0])
    # The bound has no p of its own: p is the level at which the bound is exactly `loss`.
    low, high = math.log(1e-9), 0.0
    if _most(groups, 0.5) >= loss:
        return 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if _most(groups, math.exp(middle)) < loss else (middle, high)
    return math.exp(high)


def unpaired(
    old: Estimate | None, new: Estimate | None, margin: float, confidence: float = CONFIDENCE
) -> LostAccuracy | None:
    """The lost accuracy from two intervals; None if either side has none."""
    if old is None or new is None:
        return None
    normal = NormalDist()
    point = old.point - new.point
    up = math.hypot(old.ci_high - old.point, new.point - new.ci_low)
    down = math.hypot(old.point - old.ci_low, new.ci_high - new.point)
    two_sided = normal.inv_cdf(0.5 + min(old.confidence, new.confidence, 0.9999) / 2)
    stretch = normal.inv_cdf(confidence) / two_sided

    def p(beyond: float, width: float) -> float:
        if width == 0:
            return 0.0 if beyond > 0 else 1.0
        return normal.cdf(-beyond / width * two_sided)

    return LostAccuracy(
        loss=Loss(
            point=point,
            bound=min(1.0, point + stretch * up),
            at_least=max(-1.0, point - stretch * down),
            n=min(old.n, new.n),
        ),
        p_lost=p(point - margin, down),
        p_gained=p(-point - margin, up),
        paired=False,
    )
