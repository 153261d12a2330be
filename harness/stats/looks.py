"""Interim looks at the answers to some of the images, without more wrong conclusions.

Each look spends a part of the error rate, and the parts add up to it at the last look; then, by the
union bound, what is concluded at any of the looks is wrong in at most `alpha` of all evaluations,
however the looks depend on one another (Lan & DeMets, "Discrete Sequential Boundaries for Clinical
Trials", Biometrika 70, 1983; the family of spending functions alpha * t ** rho is that of Kim &
DeMets, Biometrika 74, 1987). `with_the_best.losses(right, alpha=part)` is one look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.stats.with_the_best import ALPHA

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# The exponent rho of the spending function: 1 spends evenly, 3 is about as careful early on as
# O'Brien and Fleming. Slow variants should stop early, and the bounds against those that go on
# should stay narrow: of 1, 1.5 and 2 this did best (`benchmarks/looks.py`).
RHO = 1.5
# With a chance below this, more images are not worth their time.
HARDLY = 0.05


def parts(seen: Sequence[int], alpha: float = ALPHA, rho: float = RHO) -> tuple[float, ...]:
    """What each look may spend; `seen` are the numbers of images answered at each look, ascending;
    the last is all images."""
    if not seen or any(a >= b for a, b in pairwise((0, *seen))):
        raise ValueError(f"looks must be at rising numbers of images, not at {list(seen)}")
    spent = [alpha * (n / seen[-1]) ** rho for n in seen]
    return tuple(b - a for a, b in pairwise((0.0, *spent)))


def hardly_shown(point: Floats, differ: Floats, seen: int, of: int, margin: float) -> Bools:
    """Whether it is unlikely (HARDLY) that all `of` images will show a loss to be within the
    margin, by what the first `seen` of them say: a loss of `point`, and a share `differ` of images
    on which exactly one of the two variants is right.

    This is the predictive power of an interim look (Spiegelhalter, Freedman & Blackburn, Controlled
    Clinical Trials 7, 1986), of normal means and with a flat prior. Giving up spends no error rate,
    since it never calls a loss small."""
    import numpy as np

    normal = NormalDist()
    # Even if no image has differed, the next one may.
    deviation = np.sqrt(np.maximum((differ * seen + 1) / (seen + 1) - point**2, 1 / seen))
    largest = margin - normal.inv_cdf(1 - ALPHA) * deviation / math.sqrt(of)
    unknown = deviation * math.sqrt(1 / seen - 1 / of)
    given_up: Bools = (largest - point) / unknown < normal.inv_cdf(HARDLY)
    return given_up
