"""The rule of the gate: when an interval is a clear outcome, and how false alarms are kept rare.

A *regression* is an interval wholly beyond 1 + threshold on the worse side, an *improvement* one
wholly beyond 1 / (1 + threshold) on the better one, *no change* one wholly between; all else is
*inconclusive*. (1 / (1 + t) rather than 1 - t, so that swapping the sides mirrors every outcome.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

from harness.core.types import Direction, Estimate, Outcome, Value
from harness.stats.summaries import CONFIDENCE

Side = Literal["above", "below", "between", "undecided"]

_HOPELESS = 10_000  # more launches than anybody makes: the ratio is on the threshold


class Gate(Value, frozen=True):
    """`threshold` is the allowed relative regression."""

    threshold: float
    confidence: float = CONFIDENCE

    @property
    def above(self) -> float:
        """The ratio from which on larger is a change."""
        return 1 + self.threshold

    @property
    def below(self) -> float:
        """The ratio from which on smaller is a change."""
        return 1 / (1 + self.threshold)

    def side(self, ratio: Estimate) -> Side:
        """Where the whole interval lies."""
        if ratio.ci_low > self.above:
            return "above"
        if ratio.ci_high < self.below:
            return "below"
        if ratio.ci_low >= self.below and ratio.ci_high <= self.above:
            return "between"
        return "undecided"

    def named(self, side: Side, direction: Direction) -> Outcome:
        """The outcome for a metric of which `direction` is better."""
        if side == "between":
            return "no change"
        if side == "undecided":
            return "inconclusive"
        return "regression" if (side == "above") == (direction == "lower") else "improvement"

    def more(self, ratio: Estimate, tests: int = 1) -> int | None:
        """How many more launches of each side would probably decide: intervals narrow with the
        square root of n, and must clear the nearer threshold, seen from the point. None if the
        point is on the threshold. `tests` is the number of comparisons, by which Holm's first step
        widens the interval."""
        limit, point = math.log(self.above), abs(math.log(ratio.point))
        width = math.log(ratio.ci_high / ratio.ci_low) / 2
        if point > limit:
            normal, alpha = NormalDist(), 1 - self.confidence
            first_step = normal.inv_cdf(1 - min(alpha / tests, alpha / 2))
            width *= first_step / normal.inv_cdf(1 - alpha / 2)
        gap = abs(point - limit)
        if gap * math.sqrt(_HOPELESS) <= width:
            return None
        return max(1, math.ceil(ratio.n * (width / gap) ** 2) - ratio.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given: compare each with the error rate
    that the whole family may have."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for done, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - done)))
        adjusted[i] = worst
    return adjusted
