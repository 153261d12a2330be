"""Does a slow variant that stops answering test images cost the star its truth?

    python benchmarks/looks.py             some minutes
    python benchmarks/looks.py --quick     a part of it, for CI

Simulates evaluations of which the truth is known, as `verdict.py` does: the slowest variant
answers in looks, all others everything. A star goes to the cheapest variant whose loss is shown to
be within the margin. Exits 1 if in any world more than 5 % of runs (upper Monte-Carlo bound 6 %)
star a variant that truly loses more, or if the slowest answers more than half of the images, on
average, where it is worse than the best by twice the margin and there are 2,000 or more.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

import numpy as np
from _verdict_worlds import NO_STAR, Floats, Ints, World, cheapest, draw

from harness.analysis import looks
from harness.stats.looks import parts
from harness.stats.with_the_best import ALPHA, Counts, pairwise

MARGIN = 0.02
MOST_WRONG, MOST_UPPER, MOST_ANSWERED = 0.05, 0.06, 0.5
SURE = 1.645  # one-sided 95 % of the Monte-Carlo error
SEED = 16

# True losses in margins; the slowest is the first, the cheapest the last.
GAPS = {
    "slowest twice the margin below": (2.0, 0.0, 0.0),
    "slowest best, others at the margin": (0.0, 1.0, 1.0),
    "slowest best by twice the margin": (0.0, 2.0, 2.0),
    "slowest best, cheapest just beyond": (0.0, 0.5, 1.05),
    "slowest second, cheapest just beyond": (0.2, 0.0, 1.05),
    "all equal": (0.0, 0.0, 0.0),
}


class Found(NamedTuple):
    """Of a world: shares of runs with a star and with a wrong one, and of images answered."""

    stars: float
    wrong: float
    answered: float


def play(world: World, runs: int, rng: np.random.Generator) -> Found:
    """By the rule of `harness/analysis/looks.py`, all runs at once; variant 0 is the slowest."""
    plan = looks.at(world.n)
    spent = parts(plan, ALPHA)
    both = draw(world._replace(n=plan[0]), runs, rng)
    going, beaten = np.ones(runs, bool), np.zeros(runs, bool)
    bounds, answered = np.ones((runs, world.k)), np.full(runs, world.n)
    for n, following, part in zip(plan[:-1], plan[1:], spent[:-1], strict=True):
        bound, at_least = _limits(both, n, part / 2)
        worse = going & (at_least[:, 0] > 0)
        stops = worse | (going & (at_least[:, 1:] > MARGIN).all(axis=1))
        bounds[stops], answered[stops] = bound[stops], n
        beaten |= worse
        going &= ~stops
        both = both + draw(world._replace(n=following - n), runs, rng)
    bounds[going] = _limits(both, world.n, spent[-1])[0][going]
    bounds[beaten, 1:] = _limits(both[:, 1:, 1:], world.n, spent[-1])[0][beaten]
    star = cheapest(bounds <= MARGIN)
    # Beyond the margin, and not at it, where a star would be right.
    wrong = (star != NO_STAR) & (np.asarray(world.gaps)[star] > MARGIN - 1e-9)
    return Found(
        float((star != NO_STAR).mean()), float(wrong.mean()), float(answered.mean()) / world.n
    )


def _limits(both: Ints, n: int, alpha: float) -> tuple[Floats, Floats]:
    """(bound, at_least) of every variant: runs x k."""
    found = pairwise(Counts([both.astype(float)], [n]), alpha)
    return found.above.max(axis=1), found.below.max(axis=1)


def worlds(quick: bool) -> list[World]:
    """Every world of the claim."""
    sizes, accuracies = ((600, 2000), (0.95,)) if quick else ((600, 2000, 5000), (0.85, 0.95))
    return [
        World(name, n, tuple(MARGIN * gap for gap in gaps), accuracy, shared)
        for n in sizes
        for accuracy in accuracies
        for shared in ((0.6,) if quick else (0.0, 0.6))
        for name, gaps in GAPS.items()
    ]


def main() -> int:
    """Print a line for each world; exit 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=1000)
    arguments = parser.parse_args()
    rng, runs = np.random.default_rng(SEED), arguments.runs
    print(
        f"{'world':38}{'images':>7}{'accuracy':>9}{'shared':>7}{'stars':>7}{'wrong':>7}{'answered':>9}"
    )
    failed = False
    for world in worlds(arguments.quick):
        found = play(world, runs, rng)
        noise = SURE * float(np.sqrt(MOST_WRONG * (1 - MOST_WRONG) / runs))
        bad = found.wrong > max(MOST_UPPER, MOST_WRONG + noise)
        if world.gaps == tuple(MARGIN * gap for gap in GAPS["slowest twice the margin below"]):
            bad |= world.n >= 2000 and found.answered > MOST_ANSWERED
        failed |= bad
        print(
            f"{world.name:38}{world.n:7,}{world.accuracy:9.2f}{world.shared:7.1f}"
            f"{found.stars:7.3f}{found.wrong:7.3f}{found.answered:9.2f}"
            f"{'  FALLS SHORT' if bad else ''}",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
