"""If a slow variant stops answering test images, are stars still right, and does it stop early
enough?

    python benchmarks/looks.py             a quarter of an hour on two cores
    python benchmarks/looks.py --quick     a part of it, for CI

Simulates evaluations of which the truth is known, as `verdict.py` does: the slowest of three
variants answers in looks, the others everything, by the rule of `harness/analysis/looks.py`. A star
goes to the cheapest variant whose loss is shown to be within the margin. Exits 1

- if in any world more than 5 % of runs (upper Monte-Carlo bound 6 %) star a variant that truly
  loses the margin or more, or
- if the slowest answers more than half of the images, on average, in a world where it is worse or
  better than the others by twice the margin and there are enough images.

Whether there are enough is a matter of theory. Whatever the rule, the better one of the slowest and
another has to be shown to lose less than the margin. Any sequential test of that which is wrong in
at most 5 % and decides in 80 % needs on average at least as many images as Wald's inequality says
("Sequential Tests of Statistical Hypotheses", Annals of Mathematical Statistics 16, 1945), even if
it knew which variants to compare and looked after every image. So with fewer than twice that number
of images no rule can manage with half of them. Ours, which looks five times and compares all
variants with all, promises to manage with half if there are ENOUGH times that number. The column
"at least" has Wald's share of the images.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple

import numpy as np
from _pool import in_processes
from _verdict_worlds import NO_STAR, World, cheapest, class_errors, draw, pattern_chances, patterns

from harness.analysis import looks
from harness.stats.looks import parts
from harness.stats.with_the_best import ALPHA, Counts, pairwise

MARGIN = 0.02
MOST_WRONG, MOST_UPPER, MOST_ANSWERED = 0.05, 0.06, 0.5
POWER = 0.8
SURE = 1.645  # one-sided 95 % of the Monte-Carlo error
SEED = 16

# True losses in margins; the slowest is the first, the cheapest the last.
BELOW, ABOVE = "slowest twice the margin below", "slowest best by twice the margin"
# From so many times Wald's number of images on, half are promised to be enough.
ENOUGH = 7
GAPS = {
    BELOW: (2.0, 0.0, 0.0),
    ABOVE: (0.0, 2.0, 2.0),
    "slowest best, others at the margin": (0.0, 1.0, 1.0),
    "slowest best, cheapest just beyond": (0.0, 0.5, 1.05),
    "slowest second, cheapest just beyond": (0.2, 0.0, 1.05),
    "all equal": (0.0, 0.0, 0.0),
}


class Found(NamedTuple):
    """The result of a world: the shares of runs with a star and with a wrong star, and the share of
    images answered."""

    world: World
    stars: float
    wrong: float
    answered: float
    at_least: float

    @property
    def promised(self) -> bool:
        """Whether the slowest is to answer half of the images or fewer."""
        return self.world.name in (BELOW, ABOVE) and ENOUGH * self.at_least <= 1


def play(task: tuple[World, int, int]) -> Found:
    """All runs at once; variant 0 is the slowest."""
    world, runs, seed = task
    rng = np.random.default_rng([SEED, seed])
    plan = looks.at(world.n)
    spent = parts(plan, ALPHA)
    both, seen = np.zeros((runs, world.k, world.k), np.int64), 0
    going, answered = np.ones(runs, bool), np.full(runs, world.n)
    bounds = np.zeros((runs, world.k))
    for n, part in zip(plan, spent, strict=True):
        both, seen = both + draw(world._replace(n=n - seen), runs, rng), n
        if n == world.n:
            break
        counted = Counts([both[going].astype(float)], [n])
        known = pairwise(counted, part)
        stops = looks.is_settled(known, counted, 0, world.n, MARGIN)
        beaten = looks.is_beaten(known, 0)
        own = np.where(beaten[:, None], 0.0, known.above[:, 0])
        own[:, 0] = known.above[:, :, 0].max(axis=1)
        place = np.flatnonzero(going)[stops]
        bounds[place], answered[place] = own[stops], n
        going[place] = False
    counts = Counts([both.astype(float)], [world.n])
    once, last = pairwise(counts, ALPHA), pairwise(counts, spent[-1])
    every = looks.once_or_in_looks(once, last, [0]).above
    bounds[going] = every[going].max(axis=1)
    others = pairwise(Counts([both[:, 1:, 1:].astype(float)], [world.n]), ALPHA).above
    bounds[~going, 1:] = np.maximum(bounds[~going, 1:], others[~going].max(axis=1))
    star = cheapest(bounds <= MARGIN)
    wrong = (star != NO_STAR) & world.worse[star]
    return Found(
        world,
        float((star != NO_STAR).mean()),
        float(wrong.mean()),
        float(answered.mean()) / world.n,
        least_needed(world) / world.n,
    )


def least_needed(world: World) -> float:
    """Wald's lower bound of the average number of images until the better one of the slowest and
    the second variant is shown to lose less than the margin against the other."""
    chances = sum(
        share * pattern_chances(errors, world.shared, world.kin)
        for share, errors in class_errors(world)
    )
    right = patterns(world.k).astype(bool)
    only_first = float(np.sum(np.where(right[:, 0] & ~right[:, 1], chances, 0.0)))
    only_second = float(np.sum(np.where(~right[:, 0] & right[:, 1], chances, 0.0)))
    lost, gained = sorted((only_first, only_second))
    # The nearest world in which the loss is just the margin, by relative entropy per image.
    rate = np.linspace(1e-6, (1 - MARGIN) / 2 - 1e-6, 200_000)
    entropy = (
        lost * np.log(lost / (rate + MARGIN))
        + gained * np.log(gained / rate)
        + (1 - lost - gained) * np.log((1 - lost - gained) / (1 - 2 * rate - MARGIN))
    ).min()
    told = POWER * math.log(POWER / ALPHA) + (1 - POWER) * math.log((1 - POWER) / (1 - ALPHA))
    return float(told / entropy)


def worlds(quick: bool) -> list[World]:
    """Every world of the claim."""
    sizes = (600, 2000) if quick else (600, 2000, 5000)
    accuracies = (0.95,) if quick else (0.85, 0.95)
    found = [
        World(name, n, tuple(MARGIN * gap for gap in gaps), accuracy, shared)
        for n in sizes
        for accuracy in accuracies
        for shared in ((0.6,) if quick else (0.0, 0.6))
        for name, gaps in GAPS.items()
    ]
    if quick:
        return found
    many = [w for w in found if (w.n, w.accuracy, w.shared) == (5000, 0.95, 0.6)]
    return found + [w._replace(n=10_000) for w in many if w.name in (BELOW, ABOVE)]


def main() -> int:
    """Print a line for each world; exit 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a part of the worlds")
    parser.add_argument("--runs", type=int, default=800, metavar="N")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="default: 2")
    arguments = parser.parse_args()
    runs = arguments.runs
    tasks = [(world, runs, seed) for seed, world in enumerate(worlds(arguments.quick))]
    print("| world | images | accuracy | shared | a star | wrong | answered | at least |")
    print("|---|---|---|---|---|---|---|---|")
    failed = False
    for found in in_processes(play, tasks, arguments.processes, chunk=1):
        world = found.world
        noise = SURE * math.sqrt(MOST_WRONG * (1 - MOST_WRONG) / runs)
        bad = found.wrong > max(MOST_UPPER, MOST_WRONG + noise)
        bad |= found.promised and found.answered > MOST_ANSWERED
        failed |= bad
        print(
            f"| {world.name} | {world.n:,} | {world.accuracy:g} | {world.shared:g} "
            f"| {found.stars:.0%} | {found.wrong:.1%} "
            f"| {found.answered:.2f}{' (half promised)' if found.promised else ''} "
            f"| {found.at_least:.2f} |{' FALLS SHORT' if bad else ''}",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
