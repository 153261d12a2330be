"""Worlds in which it is known how accurate every variant is: what `verdict.py` draws from.

A world has k variants, the cheapest last, and n test images. The variants' wrong answers to an
image may be correlated: with the probability `shared` all variants meet the same difficulty, else
each meets its own. Images are of two or five classes, the rare ones harder. The outcome of a run is
drawn at once, as counts of the 2**k patterns of right and wrong, which is equivalent to drawing
image by image, and faster.

What may not be lost is accuracy, balanced accuracy, or the recall of the rarest class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.stats import paired_loss, with_the_best

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ALPHA = with_the_best.ALPHA
ACCURACY, BALANCED, RECALL = "accuracy", "balanced accuracy", "recall"
NO_STAR = -1
CLASSES = {2: (0.9, 0.1), 5: (0.6, 0.2, 0.1, 0.05, 0.05)}
HARDER = 2.0  # how much more often rare classes are mistaken than the common one
# Where two variants differ on 100 images or more, the exact test's p is that of its standardised
# difference within 0.08 standard deviations (margins of 2 and 3 points, 300 to 5,000 images); so
# nearer than this to the level the exact p is computed, and beyond it is not needed.
_MANY, _NEAR = 100, 0.16


class World(NamedTuple):
    """`gaps` are the true losses of what is protected, best variant first; `kin` says that only the
    less accurate ones share difficulties with each other. If balanced accuracy is protected,
    `rarest` says that all of it is lost in the rarest class."""

    name: str
    n: int
    gaps: tuple[float, ...]
    accuracy: float
    shared: float
    margin: float = 0.02
    kin: bool = False
    classes: int = 2
    protect: str = ACCURACY
    rarest: bool = False

    @property
    def k(self) -> int:
        """How many variants."""
        return len(self.gaps)

    @property
    def worse(self) -> Bools:
        """Which variants lose the margin or more."""
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
    gaps, error = np.asarray(world.gaps), 1 - world.accuracy
    if world.protect == ACCURACY:
        return [(share, (error + gaps) * h) for share, h in zip(shares, harder, strict=True)]
    weights = np.ones(len(shares))
    if world.rarest:
        weights = np.array([0.0] * (len(shares) - 1) + [float(len(shares))])
    return [
        (share, error * h + gaps * weight)
        for share, h, weight in zip(shares, harder, weights, strict=True)
    ]


def draw(world: World, runs: int, rng: np.random.Generator) -> Ints:
    """How many of all images both j and i got right: runs x k x k."""
    chances = sum(
        share * pattern_chances(errors, world.shared, world.kin)
        for share, errors in class_errors(world)
    )
    return gram(rng, runs, world.n, np.asarray(chances), world.k)


def draw_classes(world: World, runs: int, rng: np.random.Generator) -> with_the_best.Counts:
    """The same by class, of which each has its share of the images and at least one; the rarest
    comes last."""
    both, sizes = [], []
    for share, errors in class_errors(world):
        sizes.append(max(1, round(share * world.n)))
        chances = pattern_chances(errors, world.shared, world.kin)
        both.append(gram(rng, runs, sizes[-1], chances, world.k).astype(float))
    return with_the_best.Counts(both, sizes)


def gram(rng: np.random.Generator, runs: int, n: int, chances: Floats, k: int) -> Ints:
    """Counts of `n` images each: runs x k x k."""
    order = np.argsort(-chances)
    chances = chances[order] / chances.sum()
    right = patterns(k)[order]
    first, second = np.triu_indices(k)
    products = (right[:, first] * right[:, second]).astype(np.float32)
    # The many improbable patterns are drawn together, and then which of them each image has.
    common = int((n * chances > 0.5).sum())
    within = np.cumsum(chances[common:])
    rest = min(1.0, float(within[-1])) if len(within) else 0.0
    found = np.empty((runs, k, k), np.int64)
    for start in range(0, runs, step := max(1, (1 << 22) // len(right))):
        part = min(step, runs - start)
        counts = np.zeros((part, len(right)), np.float32)
        drawn = rng.multinomial(n, np.append(chances[:common], rest), size=part)
        counts[:, :common] = drawn[:, :common]
        if len(within):
            run = np.repeat(np.arange(part), drawn[:, -1])
            place = np.searchsorted(within, rng.random(len(run)) * rest, side="right")
            place = common + np.minimum(place, len(within) - 1)
            np.add.at(counts, (run, place), 1)
        sums = np.rint(counts @ products).astype(np.int64)
        found[start : start + part, first, second] = sums
        found[start : start + part, second, first] = sums
    return found


# --- the new rule ----------------------------------------------------------------------------


class _Known:
    """Values by key, each computed once."""

    def __init__(self) -> None:
        self.keys = np.empty(0, np.int64)
        self.values = np.empty(0)

    def look_up(self, keys: Ints, compute: Callable[[Ints], Floats]) -> Floats:
        """The values of one-dimensional keys; `compute` is called with the new ones."""
        wanted, place = np.unique(keys, return_inverse=True)
        new = np.setdiff1d(wanted, self.keys, assume_unique=True)
        if len(new):
            known, values = np.append(self.keys, new), np.append(self.values, compute(new))
            order = np.argsort(known)
            self.keys, self.values = known[order], values[order]
        found: Floats = self.values[np.searchsorted(self.keys, wanted)]
        return np.asarray(found[place])


@lru_cache(maxsize=64)
def _p_values(n: int, margin: float) -> _Known:
    return _Known()


@lru_cache(maxsize=64)
def _bounds(n: int) -> _Known:
    return _Known()


def _excluded(lost: Ints, gained: Ints, n: int, level: Floats, margin: float) -> Bools:
    """Whether the exact test excludes a loss of the margin at the level."""
    gain = paired_loss.likeliest_gain(lost, gained, n, margin)
    spread = np.sqrt(n * (2 * gain + margin - margin**2))
    beyond = (lost - gained - n * margin) / spread - _z(level)
    level = np.broadcast_to(level, lost.shape)
    found = np.asarray(beyond < 0)
    unclear = np.where(lost + gained >= _MANY, abs(beyond) <= _NEAR, found | (beyond < 1))
    keys = lost[unclear] * (n + 1) + gained[unclear]
    p = _p_values(n, margin).look_up(
        keys, lambda new: paired_loss.p_at_least(new // (n + 1), new % (n + 1), n, margin)
    )
    found[unclear] = p <= level[unclear]
    return found


def _z(level: Floats) -> Floats:
    distinct, place = np.unique(level, return_inverse=True)
    z = np.array([NormalDist().inv_cdf(float(x)) for x in distinct])
    return np.asarray(z[place.reshape(level.shape)])


def shown(both: Ints, n: int, margin: float) -> Bools:
    """Which variants' bounds are within the margin: runs x k. A bound is, if and only if a loss of
    the margin is excluded against every other variant."""
    k = both.shape[-1]
    lost = np.diagonal(both, axis1=1, axis2=2)[:, :, None] - both
    level = with_the_best.levels(with_the_best.Counts([both.astype(float)], [n]), ALPHA)
    excluded = _excluded(lost, lost.swapaxes(1, 2), n, level[:, :, None], margin)
    return np.asarray((excluded | np.eye(k, dtype=bool)).all(axis=1))


def shown_by_class(found: with_the_best.Counts, margin: float) -> Bools:
    """The same for balanced accuracy, as `with_the_best.pairwise` has it. Only pairs near the
    margin need exact bounds of classes with many counts."""
    runs, k = found.shape
    pairs = ~np.eye(k, dtype=bool)
    level = np.broadcast_to(with_the_best.levels(found, ALPHA)[:, :, None], (runs, k, k))[:, pairs]
    cells = []
    for both, n in zip(*found, strict=True):
        lost = np.rint(with_the_best.lost_of(both)).astype(np.int64)
        cells.append((lost[:, pairs], lost.swapaxes(1, 2)[:, pairs], n))

    def above(bounds: Sequence[Floats], of: Bools | slice = slice(None)) -> Floats:
        seen = [(lost[of] - gained[of]) / n for lost, gained, n in cells]
        apart = sum((bound - x) ** 2 for bound, x in zip(bounds, seen, strict=True))
        return np.asarray((sum(seen) + np.sqrt(apart)) / len(cells))

    least, most = zip(*(_around(*cell, level) for cell in cells), strict=True)
    within = above(most) <= margin
    unclear = (above(least) <= margin) & ~within
    exact = [_upper(lost[unclear], gained[unclear], n, level[unclear]) for lost, gained, n in cells]
    within[unclear] = above(exact, unclear) <= margin
    shown_ = np.ones((runs, k, k), bool)
    shown_[:, pairs] = within
    return np.asarray(shown_.all(axis=1))


def _around(lost: Ints, gained: Ints, n: int, level: Floats) -> tuple[Floats, Floats]:
    """The two values that the exact bound lies between; both are the bound itself if the counts are
    few."""
    few = lost + gained < _MANY
    least, most = np.empty(lost.shape), np.empty(lost.shape)
    least[few] = most[few] = _upper(lost[few], gained[few], n, level[few])
    for limits, by in ((least, -_NEAR), (most, _NEAR)):
        limits[~few] = paired_loss.score_bound(
            lost[~few].astype(float), gained[~few].astype(float), n, level[~few], by
        )
    return least, most


def _upper(lost: Ints, gained: Ints, n: int, level: Floats) -> Floats:
    scale, width = 1e10, n + 1

    def compute(keys: Ints) -> Floats:
        counts, levels = keys % width**2, keys // width**2 / scale
        return paired_loss.upper(counts // width, counts % width, n, levels)

    # A level of five in a hundred or less; to 1e-10 of it.
    keys = (np.rint(level * scale).astype(np.int64) * width + lost) * width + gained
    return _bounds(n).look_up(keys, compute)


def cheapest(passes: Bools) -> Ints:
    """The last variant that passes, by run; NO_STAR if none does."""
    k = passes.shape[1]
    return np.where(passes.any(axis=1), k - 1 - np.argmax(passes[:, ::-1], axis=1), NO_STAR)


def stars(both: Ints, n: int, margin: float) -> Ints:
    """Which variant gets the star by the new rule, by run."""
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
    """Which variant got the star by the old rule: the cheapest one that McNemar's test cannot
    distinguish from the most accurate one."""
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
