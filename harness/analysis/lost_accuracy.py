"""How much accuracy a candidate may have lost against a baseline.

Where both answered the same labelled images, they are compared image by image by the exact test of
`stats/paired_loss.py`. Else only the two intervals are known, and their distances combine in
quadrature (Newcombe, "Interval Estimation for the Difference between Independent Proportions",
Statistics in Medicine 17, 1998, method 10).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from harness.core.types import Evaluation, Loss, Measurement, Value
from harness.stats.accuracy import same_examples
from harness.stats.summaries import CONFIDENCE


class LostAccuracy(Value, frozen=True):
    """The candidate's loss with one-sided limits. `p_lost` is small where a loss beyond the margin
    is shown, `p_gained` where a gain beyond it is."""

    loss: Loss
    p_lost: float
    p_gained: float
    paired: bool


def same_images(before: Evaluation | None, after: Evaluation | None) -> bool:
    """Whether the two can be compared image by image."""
    if before is None or after is None or before.failure or after.failure:
        return False
    return same_examples(before, after)


def paired(
    before: Evaluation, after: Evaluation, margin: float, confidence: float = CONFIDENCE
) -> LostAccuracy:
    """Of two that answered the same images."""
    from harness.stats import paired_loss

    pairs = list(zip(before.right, after.right, strict=True))
    lost, gained, n = pairs.count((True, False)), pairs.count((False, True)), len(pairs)
    alpha = 1 - confidence
    return LostAccuracy(
        loss=Loss(
            point=(lost - gained) / n,
            bound=float(paired_loss.upper(lost, gained, n, alpha)[0]),
            at_least=float(paired_loss.lower(lost, gained, n, alpha)[0]),
            n=n,
        ),
        p_lost=float(paired_loss.p_at_least(gained, lost, n, -margin)[0]),
        p_gained=float(paired_loss.p_at_least(lost, gained, n, -margin)[0]),
        paired=True,
    )


def unpaired(
    before: Measurement, after: Measurement, margin: float, confidence: float = CONFIDENCE
) -> LostAccuracy | None:
    """Of two with intervals; None if either has none."""
    old, new = before.estimate, after.estimate
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
