"""Whether what a few sessions show would hold in another one: a t test on the spread of sessions.

All launches of a session share its conditions (other work on the machine, a warm phone), so their
interval does not show how far off another session would be. Several sessions do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev


def p_of_chance(beyond: Sequence[float], *, one_baseline: bool) -> float:
    """One-sided p value of "it is within its limit", of an odd number of sessions, at least three.

    `beyond` are logarithms of how far each session is beyond the limit. With `one_baseline` all
    are relative to the same single session, which chance moved by an unknown amount: it counts with
    the spread of the others, as in the prediction interval for one more observation (Student's t
    with n - 1 degrees of freedom; Hahn & Meeker, "Statistical Intervals", 1991, section 4.7).
    """
    n = len(beyond)
    scale = stdev(beyond) * math.sqrt(1 / n + one_baseline)
    mean = fmean(beyond)
    if scale == 0:
        return 0.0 if mean > 0 else 1.0
    return _upper_tail(mean / scale, n - 1)


def _upper_tail(t: float, df: int) -> float:
    """P(T > t) of Student's t, exactly, for even `df` (Abramowitz & Stegun 26.7.4)."""
    if df < 2 or df % 2:
        raise ValueError(f"df must be even and positive, but is {df}")
    angle = math.atan(t / math.sqrt(df))
    term = total = 1.0
    for k in range(1, df - 2, 2):
        term *= k / (k + 1) * math.cos(angle) ** 2
        total += term
    return (1 - math.sin(angle) * total) / 2
