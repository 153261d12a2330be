"""How many test images it takes to show that a variant keeps its accuracy.

What decides is how often exactly one of two variants is right (the *discordance*), not how
accurate they are. The answers here are for a variant that truly loses nothing: they are the images
with which it is shown to stay within the margin with a chance of 80 %, by the test of
`paired_loss`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from harness.stats import paired_loss
from harness.stats.accuracy import wilson
from harness.stats.with_the_best import ALPHA, Counts, all_below, lost_of, pairwise

CHANCE = 0.8
# With at least this many images the discordance is known well enough to name one number.
ENOUGH_TO_TELL = 300
MOST = 1_000_000
# The typical correlation between the errors of two networks that learned the same task.
SHARED_ERRORS = 0.6
_CORRELATION = 0.5  # of differences to one variant, where all are equally far from it


class Needed(NamedTuple):
    """How many images would decide; `low` to `high` is the range with 95 % confidence about the
    discordance. None means more than a million."""

    images: int | None
    low: int | None
    high: int | None


def needed(differ: float, n: int, margin: float, level: float = ALPHA, against: int = 1) -> Needed:
    """The images that would decide, where two variants differed on `differ` of `n` images. `level`
    is that of one comparison, and `against` how many other variants it must be shown against."""
    seen = wilson(min(round(differ), n), n)
    rates = (differ + 0.5) / (n + 1), seen.ci_low, seen.ci_high
    return Needed(*(images(rate, margin, level, against) for rate in rates))


def needed_by(found: Counts, variant: int, margin: float) -> Needed:
    """The images that would decide whether the variant of this index stays within `margin`; of the
    first run. Of the variants against which it has not been shown yet, the one from which it
    differs most often decides."""
    import numpy as np

    against = pairwise(found)
    n, k = sum(found.sizes), found.shape[1]
    rivals = [j for j in range(k) if against.above[0, j, variant] > margin]
    if not rivals:
        return Needed(n, n, n)
    # The number of images that differ which would give the accuracy on n images the same error.
    apart = np.zeros(k)
    for both, size in zip(*found, strict=True):
        lost = lost_of(both)[0]
        apart += (lost + lost.T)[:, variant] * (n / (size * len(found.both))) ** 2
    worst = max(rivals, key=lambda j: float(apart[j]))
    return needed(float(apart[worst]), n, margin, float(against.level[0, worst]), len(rivals))


@lru_cache(maxsize=4096)
def images(discordance: float, margin: float, level: float = ALPHA, against: int = 1) -> int | None:
    """The smallest number of images with which a variant that loses nothing is probably shown to
    stay within `margin`; None if it is more than a million. `discordance` is a share."""
    low, high = 1, 2
    while not _shown(high, discordance, margin, level, against):
        if high > MOST:
            return None
        low, high = high, 2 * high
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        if _shown(middle, discordance, margin, level, against):
            high = middle
        else:
            low = middle
    return high


def excludable(n: int, discordance: float, level: float = ALPHA, against: int = 1) -> float:
    """The smallest loss that `n` images probably exclude for a variant that truly loses nothing."""
    worst, differ = _unlucky(against) * math.sqrt(n * discordance), n * discordance
    lost, gained = _counts(worst, differ)
    return float(paired_loss.upper(lost, gained, n, level)[0])


def discordance_at(accuracy: float, shared: float = SHARED_ERRORS) -> float:
    """How often exactly one of two equally accurate variants is right, if the correlation of their
    errors is `shared`."""
    return 2 * accuracy * (1 - accuracy) * (1 - shared)


def _shown(n: int, discordance: float, margin: float, level: float, against: int) -> bool:
    differ = n * discordance
    lost, gained = _counts(_unlucky(against) * math.sqrt(differ), differ)
    return float(paired_loss.p_at_least(lost, gained, n, margin)[0]) <= level


def _counts(apart: float, differ: float) -> tuple[int, int]:
    """(lost, gained) that add up to about `differ` and are `apart`, as far as that is possible."""
    apart = min(apart, differ)
    return math.ceil((differ + apart) / 2 - 0.5), math.floor((differ - apart) / 2 + 0.5)


@lru_cache(maxsize=64)
def _unlucky(against: int) -> float:
    """The largest of `against` standardised differences is below this with the chance CHANCE."""
    if against <= 1:
        return NormalDist().inv_cdf(CHANCE)
    low, high = 0.0, 6.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if all_below(middle, against, _CORRELATION) < CHANCE else (low, middle)
        )
    return high
