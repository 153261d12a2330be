"""Multiple comparisons with the best: how much accuracy each of several variants may lose.

The loss of a variant is the true accuracy of the best variant minus its own. Nobody knows which is
the best, so a variant is compared with each other one, and its bound is the largest of those bounds
(Hsu, "Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best", Annals
of Statistics 12, 1984). All bounds hold together if those against the one true best do: that is k -
1 comparisons, not k (k - 1), and which one is the best does not matter. So the bounds remain valid
although the best variant is chosen on the same images.

Each pair is compared by the exact test of `paired_loss`. Its level is such that any of k - 1 tests
is wrong with probability `alpha`. Bonferroni would take alpha / (k - 1). But all differences to one
variant share that variant's errors and are correlated, so Dunnett's level is taken, of normal tests
with one common correlation (JASA 50, 1955). That is the mean of the correlations seen on the same
images: the chance that all hold is convex in each of them, so unequal ones only raise it. It is
shrunk towards 0, the more so the fewer images differ, and rounded down. That this holds is
simulated (`benchmarks/verdict.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from harness.core.types import Loss
from harness.stats import paired_loss

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA = 0.05
# This many images on which a pair differs weigh as much as the assumption of no correlation.
_DOUBT = 5.0
_STEPS = 50  # to which a correlation is rounded down
_NODES = 257


class Counts(NamedTuple):
    """What several variants answered, of many runs at once: `both` has an array of runs x k x k for
    each class, with at [run, j, i] how many of its images both j and i got right; `sizes` are the
    images of each class. One class stands for plain accuracy, several for balanced accuracy."""

    both: Sequence[Floats]
    sizes: Sequence[int]

    @property
    def shape(self) -> tuple[int, int]:
        """(runs, k)."""
        return self.both[0].shape[0], self.both[0].shape[-1]


def counts(right: Sequence[Sequence[bool]], classes: Sequence[int] | None = None) -> Counts:
    """The counts of one run; `right` tells for each variant which of the same images (at least
    one) it decided as labelled, `classes` the label of each image where classes weigh the same."""
    import numpy as np

    answers = np.asarray(right, float)
    labels = np.zeros(answers.shape[1], int) if classes is None else np.asarray(classes)
    groups = [answers[:, labels == label] for label in np.unique(labels)]
    return Counts([(g @ g.T)[None] for g in groups], [g.shape[1] for g in groups])


def losses(
    right: Sequence[Sequence[bool]], classes: Sequence[int] | None = None, alpha: float = ALPHA
) -> tuple[Loss, ...]:
    """A Loss for each variant. With `classes` the loss is one of balanced accuracy: the mean of the
    losses within the classes, whose limits are combined by their distances in quadrature (Zou &
    Donner, Statistics in Medicine 27, 2008)."""
    found = pairwise(counts(right, classes), alpha)
    limits = (found.point, found.above, found.below)
    return tuple(
        Loss(point=float(p), bound=float(b), at_least=float(a), n=len(right[0]))
        for p, b, a in zip(*(x[0].max(axis=0) for x in limits), strict=True)
    )


class Pairwise(NamedTuple):
    """Each variant against each other one, runs x k x k: at [run, j, i] by how much j is more
    accurate than i: seen, at most, at least; 0 at [run, i, i]. The loss of i is the largest over j.
    `level` is what the comparisons with j were made at, were j the best."""

    point: Floats
    above: Floats
    below: Floats
    level: Floats


def pairwise(found: Counts, alpha: float = ALPHA) -> Pairwise:
    """All pairs. The limits above hold together with the confidence 1 - alpha, those below too."""
    import numpy as np

    runs, k = found.shape
    level = levels(found, alpha)
    point, above, below = (np.zeros((runs, k, k)) for _ in range(3))
    if k == 1:
        return Pairwise(point, above, below, level)
    own_level = np.broadcast_to(level[:, :, None], (runs, k, k))
    either_way = np.full((runs, k, k), alpha / (k * (k - 1)))
    for both, n in zip(*found, strict=True):
        lost = lost_of(both)
        gained = lost.swapaxes(1, 2)
        seen = (lost - gained) / n
        point += seen / len(found.both)
        above += (_once(paired_loss.upper, lost, gained, n, own_level) - seen) ** 2
        below += (seen - _once(paired_loss.lower, lost, gained, n, either_way)) ** 2
    own = np.eye(k, dtype=bool)
    return Pairwise(
        point,
        np.where(own, 0.0, point + np.sqrt(above) / len(found.both)),
        np.where(own, 0.0, point - np.sqrt(below) / len(found.both)),
        level,
    )


def _once(
    limit: Callable[[Floats, Floats, int, Floats], Floats],
    lost: Floats,
    gained: Floats,
    n: int,
    alpha: Floats,
) -> Floats:
    """`limit` of each distinct pair of counts and level, computed once."""
    import numpy as np

    cells = np.stack([lost.ravel(), gained.ravel(), alpha.ravel()], axis=1)
    distinct, place = np.unique(cells, axis=0, return_inverse=True)
    found = limit(distinct[:, 0], distinct[:, 1], n, distinct[:, 2])
    return found[place.ravel()].reshape(lost.shape)


def lost_of(both: Floats) -> Floats:
    """How many images j got right and i did not, at [..., j, i]; `both` counts at [..., j, i] the
    images that both got right."""
    import numpy as np

    return np.asarray(np.diagonal(both, axis1=-2, axis2=-1)[..., None] - both)


def levels(found: Counts, alpha: float = ALPHA) -> Floats:
    """The level of each comparison with j, were j the best: runs x k."""
    import numpy as np

    runs, k = found.shape
    if k <= 2:
        return np.full((runs, k), alpha)
    correlation = np.clip(mean_correlation(found), 0.0, 1.0)
    steps, place = np.unique(np.floor(correlation * _STEPS + 1e-9), return_inverse=True)
    table = np.array([dunnett(k - 1, step / _STEPS, alpha) for step in steps])
    return np.asarray(table[place.reshape(runs, k)])


def mean_correlation(counted: Counts) -> Floats:
    """For each of at least three variants j the mean correlation between its differences to two
    others, shrunk: runs x k."""
    import numpy as np

    runs, k = counted.shape
    first, second = np.triu_indices(k - 1, 1)
    found = np.empty((runs, k))
    for j in range(k):
        rest = [i for i in range(k) if i != j]
        covariance = np.zeros((runs, k - 1, k - 1))
        variance = np.zeros((runs, k - 1))
        for both, n in zip(*counted, strict=True):
            hits = np.diagonal(both, axis1=1, axis2=2)
            with_j = both[:, j, rest]
            # Mean product of the differences j - i and j - l, then their covariance.
            products = (
                hits[:, j, None, None]
                - with_j[:, :, None]
                - with_j[:, None, :]
                + both[:, rest][:, :, rest]
            ) / n
            means = (hits[:, j, None] - hits[:, rest]) / n
            own = (products - means[:, :, None] * means[:, None, :]) / n
            covariance += own
            variance += np.diagonal(own, axis1=1, axis2=2) + _DOUBT / n**2
        scale = np.sqrt(variance[:, :, None] * variance[:, None, :])
        found[:, j] = (covariance / scale)[:, first, second].mean(axis=1)
    return found


@lru_cache(maxsize=4096)
def dunnett(m: int, correlation: float, alpha: float = ALPHA) -> float:
    """The one-sided level at which any of `m` normal tests with one common correlation is wrong
    with probability `alpha`: alpha / m or more, alpha if they are one and the same test."""
    if m == 1 or correlation >= 1:
        return alpha
    low, high = alpha / m, alpha
    for _ in range(40):
        middle = (low + high) / 2
        if 1 - all_below(NormalDist().inv_cdf(1 - middle), m, correlation) > alpha:
            high = middle
        else:
            low = middle
    return low


def all_below(z: float, m: int, correlation: float) -> float:
    """P(all of `m` standard normal variables with one common correlation, 0 to 1, are below z)."""
    import numpy as np

    normal = NormalDist()
    own, shared = math.sqrt(1 - correlation), math.sqrt(correlation)
    nodes, weights = _nodes()
    if own == 0:
        return normal.cdf(z)
    below = np.array([normal.cdf((z - shared * t) / own) for t in nodes])
    return float(weights @ below**m)


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    """Nodes and weights of the mean over a standard normal variable."""
    import numpy as np

    # The trapezoidal rule, which is exact to rounding for so smooth a function.
    nodes = np.linspace(-8, 8, _NODES)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()
