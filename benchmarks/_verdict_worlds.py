"""Worlds in which it is known how accurate every variant is: what `verdict.py` draws from.

A world has k variants, the cheapest last, and n test images. All wrong answers to an image may be
correlated: with the probability `shared` the variants meet one and the same difficulty, else each
its own. Images are of two or five classes, the rare ones harder. What a run shows is drawn at once
as counts of the 2**k patterns of right and wrong, which is the same as image by image and faster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.stats import paired_loss, with_the_best

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALPHA = with_the_best.ALPHA
NO_STAR = -1
CLASSES = {2: (0.9, 0.1), 5: (0.6, 0.2, 0.1, 0.05, 0.05)}
HARDER = 2.0  # how much more often rare classes are mistaken than the common one
_NEAR = (-3.4, -1.2)  # standard deviations between which a test with many counts is in doubt


class World(NamedTuple):
    """`gaps` are the true losses, best variant first; `kin` says that only the less accurate ones
    share difficulties with each other."""

    name: str
    n: int
    gaps: tuple[float, ...]
    accuracy: float
    shared: float
    margin: float = 0.02
    kin: bool = False
    classes: int = 2

    @property
    def k(self) -> int:
        """How many variants."""
        return len(self.gaps)

    @property
    def worse(self) -> NDArray[np.bool_]:
        """Who loses the margin or more."""
        return np.asarray(self.gaps) >= self.margin - 1e-9


# --- drawing ---------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def patterns(k: int) -> Floats:
    """All patterns of right (1) and wrong (0): 2**k x k."""
    return np.asarray((np.arange(2**k)[:, None] >> np.arange(k)) & 1, float)


def pattern_chances(errors: Floats, shared: float, kin: bool) -> Floats:
    """How probable each pattern is; `errors` by variant."""
    k = len(errors)
    right = patterns(k).astype(bool)
    alone = np.where(right, 1 - errors, errors)
    first = 1 if kin else 0
    # One difficulty u for all: wrong is who errs more often than u.
    low = np.where(right[:, first:], errors[first:], 0.0).max(axis=1)
    high = np.where(right[:, first:], 1.0, errors[first:]).min(axis=1)
    nested = np.maximum(0.0, high - low)
    if kin:
        nested = nested * alone[:, 0]
    return np.asarray(shared * nested + (1 - shared) * alone.prod(axis=1))


def class_errors(world: World) -> list[tuple[float, Floats]]:
    """(share of the images, error of each variant) by class."""
    shares = CLASSES[world.classes]
    harder = np.array([1.0] + [HARDER] * (len(shares) - 1))
    harder = harder / float(harder @ np.array(shares))
    errors = 1 - world.accuracy + np.asarray(world.gaps)
    return [(share, errors * h) for share, h in zip(shares, harder, strict=True)]


def draw(world: World, runs: int, rng: np.random.Generator) -> Ints:
    """How many images both j and i got right: runs x k x k."""
    chances = sum(
        share * pattern_chances(errors, world.shared, world.kin)
        for share, errors in class_errors(world)
    )
    return gram(rng, runs, world.n, np.asarray(chances), world.k)


def gram(rng: np.random.Generator, runs: int, n: int, chances: Floats, k: int) -> Ints:
    """Counts of `n` images each: runs x k x k."""
    order = np.argsort(-chances)  # the probable ones first: then a draw ends early
    chances = chances[order] / chances.sum()
    both = patterns(k)[order]
    products = (both[:, :, None] * both[:, None, :]).reshape(len(both), k * k)
    found = np.empty((runs, k, k), np.int64)
    for start in range(0, runs, step := max(1, (1 << 23) // len(both))):
        counts = rng.multinomial(n, chances, size=min(step, runs - start))
        used = counts.any(axis=0)
        sums = counts[:, used].astype(np.float32) @ products[used].astype(np.float32)
        found[start : start + step] = np.rint(sums).reshape(-1, k, k).astype(np.int64)
    return found


# --- the new rule ----------------------------------------------------------------------------


class _Table:
    """p values of one n and margin, each computed once."""

    def __init__(self, n: int, margin: float) -> None:
        self.n, self.margin = n, margin
        self.known = np.empty(0, np.int64)
        self.p = np.empty(0)

    def look_up(self, lost: Ints, gained: Ints) -> Floats:
        """Exact p where it may be near a level in use; 1 and 0 where it is far from all."""
        keys, place = np.unique(lost * (self.n + 1) + gained, return_inverse=True)
        new = np.setdiff1d(keys, self.known, assume_unique=True)
        if len(new):
            self._add(new)
        values: Floats = self.p[np.searchsorted(self.known, keys)]
        return np.asarray(values[place.reshape(lost.shape)])

    def _add(self, keys: Ints) -> None:
        lost, gained = keys // (self.n + 1), keys % (self.n + 1)
        gain = paired_loss.likeliest_gain(lost, gained, self.n, self.margin)
        spread = np.sqrt(self.n * (2 * gain + self.margin - self.margin**2))
        z = (lost - gained - self.n * self.margin) / spread
        many = lost + gained >= 100
        p = np.where(z < 0, 0.0, 1.0)
        doubtful = np.where(many, (z > _NEAR[0]) & (z < _NEAR[1]), z < 0)
        p[many & (z >= _NEAR[1])] = 1.0
        p[doubtful] = paired_loss.p_at_least(lost[doubtful], gained[doubtful], self.n, self.margin)
        known, values = np.append(self.known, keys), np.append(self.p, p)
        order = np.argsort(known)
        self.known, self.p = known[order], values[order]


@lru_cache(maxsize=64)
def _table(n: int, margin: float) -> _Table:
    return _Table(n, margin)


def shown(both: Ints, n: int, margin: float) -> NDArray[np.bool_]:
    """Whose bound is within the margin: runs x k. A bound is, if and only if the loss of the
    margin is excluded against every other variant."""
    k = both.shape[-1]
    lost = np.diagonal(both, axis1=1, axis2=2)[:, :, None] - both
    p = _table(n, margin).look_up(lost, lost.swapaxes(1, 2))
    level = with_the_best.levels(with_the_best.Counts([both.astype(float)], [n]), ALPHA)
    return np.asarray(((p <= level[:, :, None]) | np.eye(k, dtype=bool)).all(axis=1))


def cheapest(passes: NDArray[np.bool_]) -> Ints:
    """The last of those who pass, by run; NO_STAR if nobody does."""
    k = passes.shape[1]
    return np.where(passes.any(axis=1), k - 1 - np.argmax(passes[:, ::-1], axis=1), NO_STAR)


def stars(both: Ints, n: int, margin: float) -> Ints:
    """Who gets the star by the new rule, by run."""
    return cheapest(shown(both, n, margin))


# --- the old rule ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _least_significant(most: int) -> Ints:
    """By the number of images that tell two variants apart, the largest count of the rarer side
    with McNemar's exact p below 0.05; -1 if there is none."""
    found = np.full(most + 1, -1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    for m in range(1, most + 1):
        x = np.arange(m // 2 + 1)
        chances = np.exp(logs[m] - logs[x] - logs[m - x] - m * np.log(2))
        significant = np.minimum(1.0, 2 * np.cumsum(chances)) < 0.05
        found[m] = significant.sum() - 1
    return found


def old_stars(both: Ints) -> Ints:
    """Who got the star by the old rule: the cheapest that McNemar's test cannot tell from the most
    accurate one."""
    runs, k = both.shape[0], both.shape[-1]
    hits = np.diagonal(both, axis1=1, axis2=2)
    best = hits.argmax(axis=1)
    with_best = both[np.arange(runs), best]
    lost = hits[np.arange(runs), best][:, None] - with_best
    gained = hits - with_best
    apart = lost + gained
    limit = _least_significant(5000)[np.minimum(apart, 5000)]
    peers = (np.minimum(lost, gained) > limit) | (hits >= hits.max(axis=1)[:, None])
    return cheapest(peers.reshape(runs, k))
