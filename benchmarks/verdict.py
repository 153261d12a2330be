"""Does a star mean that the accuracy is kept? Judged by simulation, where the truth is known.

    python benchmarks/verdict.py              the whole grid: a quarter of an hour on two cores
    python benchmarks/verdict.py --quick      a part of it, for CI
    python benchmarks/verdict.py --only stars

Exits 1 if anything falls short of what docs/explanation/verdict.md promises:

pieces  the exact test never rejects a true loss more often than its level; limits that
        statsmodels and scipy can compute equal theirs
stars   a star goes to a variant that loses more than the margin in at most 5 % of runs, in every
        world; the old rule is shown beside it
power   a variant that loses nothing gets its star as often as promised
images  the number of images that an undecided verdict asks for is right within a factor of 2 in
        80 % of runs
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from _pool import in_processes
from _verdict_worlds import (
    ACCURACY,
    ALPHA,
    BALANCED,
    NO_STAR,
    RECALL,
    Floats,
    Ints,
    World,
    cheapest,
    draw,
    draw_classes,
    old_stars,
    shown,
    shown_by_class,
    stars,
)

from harness.stats import enough_images, paired_loss, with_the_best

MARGIN = 0.02
MOST_WRONG, MOST_UPPER = 0.05, 0.06
SURE = 1.645  # one-sided 95 % of the Monte-Carlo error
SEED = 14


# --- 1: stars that should not be --------------------------------------------------------------


def _gaps(k: int) -> dict[str, tuple[float, ...]]:
    """Losses by the name of the world; `at` is the limit of what the margin allows."""
    rest = k - 1
    return {
        "beyond": (0.0, *[1.05 * MARGIN] * rest),
        "at": (0.0, *[MARGIN] * rest),
        "far beyond": (0.0, *[3 * MARGIN] * rest),
        "ladder": tuple(2.1 * MARGIN * i / rest for i in range(k)),
        "inside, cheapest beyond": (0.0, *[MARGIN / 2] * (rest - 1), 1.05 * MARGIN),
        "all equal": (0.0,) * k,
    }


def grid(quick: bool) -> Iterator[World]:
    """Every world of the claim: first of accuracy, then of the recall of the rarest class, then of
    balanced accuracy."""
    yield from _of_accuracy(quick)
    sizes = (300, 2000) if quick else (60, 300, 1000, 2000, 5000)
    accuracies, ties = ((0.95,), (0.6,)) if quick else ((0.8, 0.95), (0.0, 0.6))
    for k, n, accuracy, shared, classes in product((2, 5, 13), sizes, accuracies, ties, (2, 5)):
        for name, gaps in _gaps(k).items():
            yield World(name, n, gaps, accuracy, shared, classes=classes, protect=RECALL)
    # A bound for each class of each pair takes long; 13 variants get a part of the worlds.
    for k, n, accuracy, shared, classes in product((2, 5, 13), sizes, accuracies, ties, (2, 5)):
        if k == 13 and (quick or shared == 0 or n in (1000, 5000)):
            continue
        for name, rarest in product(("beyond", "at", "ladder"), (False, True)):
            gaps = _gaps(k)[name]
            yield World(name, n, gaps, accuracy, shared, 0.02, False, classes, BALANCED, rarest)


def _of_accuracy(quick: bool) -> Iterator[World]:
    sizes = (60, 300, 2000) if quick else (30, 60, 180, 300, 600, 1000, 2000, 5000)
    accuracies = (0.6, 0.95) if quick else (0.6, 0.8, 0.95, 0.995)
    ties = (0.0, 0.6) if quick else (0.0, 0.3, 0.6, 0.9)
    for k, n, accuracy, shared, classes in product((2, 5, 13), sizes, accuracies, ties, (2, 5)):
        for name, gaps in _gaps(k).items():
            if k == 2 and name == "inside, cheapest beyond":
                continue  # that is "beyond"
            for kin in (
                (False, True) if k > 2 and shared >= 0.6 and name != "all equal" else (False,)
            ):
                yield World(name, n, gaps, accuracy, shared, kin=kin, classes=classes)


class Found(NamedTuple):
    """Shares of runs."""

    world: World
    runs: int
    wrong: float
    old: float
    starred: float

    @property
    def upper(self) -> float:
        """Upper Monte-Carlo bound of `wrong`."""
        return self.wrong + SURE * math.sqrt(max(self.wrong, 1 / self.runs) / self.runs)


def wrong_stars(world: World, runs: int, rng: np.random.Generator) -> Found:
    """How often the two rules star a variant that loses the margin or more. The old rule knew
    plain accuracy only."""
    if world.protect == ACCURACY:
        both = draw(world, runs, rng)
        new = stars(both, world.n, world.margin)
    else:
        found = draw_classes(world, runs, rng)
        both = np.rint(sum(found.both)).astype(np.int64)
        if world.protect == BALANCED:
            new = cheapest(shown_by_class(found, world.margin))
        else:
            rarest = np.rint(found.both[-1]).astype(np.int64)
            new = stars(rarest, found.sizes[-1], world.margin)
    old, bad = old_stars(both), world.worse
    return Found(
        world,
        runs,
        float((bad[new] & (new != NO_STAR)).mean()),
        float((bad[old] & (old != NO_STAR)).mean()),
        float((new != NO_STAR).mean()),
    )


# (runs, from which share of wrong stars on more are needed); the last runs count.
_RUNS = ((600, 0.03), (4_000, 0.04), (10_000, 0.05), (40_000, 1.0))


def judged(task: tuple[int, World]) -> Found:
    """One world. If the result may be close, it is simulated again with more, fresh runs."""
    place, world = task
    rng = np.random.default_rng([SEED, place])
    for runs, close in _RUNS:
        found = wrong_stars(world, runs, rng)
        if found.wrong <= close:
            break
    return found


def part_stars(quick: bool, processes: int) -> list[str]:
    """The table of wrong stars: the worst world of each row."""
    worlds = [w for w in grid(quick) if w.worse.any()]
    tasks = [(place, world) for place, world in enumerate(worlds)]
    found = []
    for f in in_processes(judged, tasks, processes):
        found.append(f)
        if len(found) % 200 == 0:
            print(f"{len(found)} of {len(worlds)} worlds", file=sys.stderr, flush=True)
    print(
        "| protected | variants | images | worlds | most wrong stars (upper bound) | where "
        "| old rule there | old rule, all worlds | some star |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in dict.fromkeys((f.world.protect, f.world.k, f.world.n) for f in found):
        here = [f for f in found if (f.world.protect, f.world.k, f.world.n) == row]
        worst, old = max(here, key=lambda f: f.wrong), [f.old for f in here]
        print(
            f"| {row[0]} | {row[1]} | {row[2]:,} | {len(here)} | {worst.wrong:.1%} "
            f"({worst.upper:.1%}) | {_where(worst.world)} | {worst.old:.0%} | {min(old):.0%} to "
            f"{max(old):.0%}, mean {np.mean(old):.0%} | {np.mean([f.starred for f in here]):.0%} |"
        )
    beyond = [f for f in found if f.world.name != "at"]
    worst, limit = max(beyond, key=lambda f: f.wrong), max(found, key=lambda f: f.upper)
    print(
        f"\n{len(found):,} worlds: beyond the margin at most {worst.wrong:.2%} wrong stars; with "
        f"the loss just at the margin, the limit, at most {max(f.wrong for f in found):.2%}; "
        f"largest upper bound {limit.upper:.2%}. "
        f"The old rule: up to {max(f.old for f in found):.0%}, "
        f"{np.mean([f.old for f in found]):.0%} on average."
    )
    return [
        f"{f.wrong:.2%} (upper bound {f.upper:.2%}) wrong stars in {f.world}"
        for f in found
        if f.upper > MOST_UPPER or (f.wrong > MOST_WRONG and f.world.name != "at")
    ]


def _where(w: World) -> str:
    return (
        f"{w.name}, accuracy {w.accuracy:g}, shared {w.shared:g}{', kin' * w.kin}, "
        f"{w.classes} classes{', all in the rarest' * w.rarest}"
    )


# --- 2: stars that should be ------------------------------------------------------------------


def part_power(quick: bool, processes: int) -> list[str]:
    """Variants that lose nothing, at accuracy 0.95 and with 4 % of images telling two apart."""
    rng = np.random.default_rng(SEED)
    shared = 1 - 0.04 / (2 * 0.95 * 0.05)
    wanted = {
        (2000, 0.02, 2): 0.95,
        (2000, 0.02, 5): 0.90,
        (600, 0.03, 2): 0.90,
        (600, 0.03, 5): 0.75,
    }
    fall_short = []
    print("| images | margin | variants | the cheapest gets its star | promised |")
    print("|---|---|---|---|---|")
    for (n, margin, k), least in wanted.items():
        world = World("equal", n, (0.0,) * k, 0.95, shared, margin, classes=2)
        share, runs = _cheapest_starred(world, 4000 if quick else 40_000, rng)
        print(f"| {n} | {margin:.0%} | {k} | {share:.1%} of {runs} | {least:.0%} |")
        if share < least:
            fall_short.append(f"{share:.1%} instead of {least:.0%} get their star in {world}")
    return fall_short


def _cheapest_starred(world: World, runs: int, rng: np.random.Generator) -> tuple[float, int]:
    given = stars(draw(world, runs, rng), world.n, world.margin)
    return float((given == world.k - 1).mean()), runs


# --- 3: how many images -----------------------------------------------------------------------


class Asked(NamedTuple):
    """The result of a world with one number of images: the share of runs that are undecided and,
    among these, the shares that ask for half to twice what is `needed` and whose range covers
    it."""

    world: World
    undecided: float
    needed: int
    typical: float
    near: float
    covered: float


MOST_ASKED = 150  # of the undecided runs of a world


def asked_in(task: tuple[int, World, int]) -> list[Asked]:
    """One world, with several numbers of images, where enough of the runs are undecided."""
    place, equal, runs = task
    rng = np.random.default_rng([SEED, place])
    truth = _truly_needed(equal, rng)
    found = []
    for n in (60, 300, 600, 1000):
        world = equal._replace(n=n)
        both = draw(world, runs, rng)
        open_ = ~shown(both, n, MARGIN)[:, -1]
        if open_.sum() < 0.05 * runs:
            continue
        asked = [_asked(b, n) for b in both[open_][:MOST_ASKED]]
        near = float(np.mean([truth / 2 <= (a.images or np.inf) <= truth * 2 for a in asked]))
        covered = float(np.mean([(a.low or 0) <= truth <= (a.high or np.inf) for a in asked]))
        typical = float(np.median([a.images or np.inf for a in asked]))
        found.append(Asked(world, float(open_.mean()), truth, typical, near, covered))
    return found


def part_images(quick: bool, processes: int) -> list[str]:
    """What an undecided verdict asks for, beside the images with which the cheapest variant really
    gets its star in 80 % of runs."""
    worlds = product((2, 5), (0.0, 0.6, 0.9), (0.8, 0.95) if quick else (0.8, 0.95, 0.98))
    runs = 300 if quick else 1000
    tasks = [
        (place, World("equal", 0, (0.0,) * k, accuracy, shared), runs)
        for place, (k, shared, accuracy) in enumerate(worlds)
    ]
    fall_short = []
    print(
        "| variants | shared | accuracy | images | undecided | truly needed | asked for (median) "
        "| within a factor of 2 | its range covers |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for found in in_processes(asked_in, tasks, processes, chunk=1):
        for a in found:
            w = a.world
            print(
                f"| {w.k} | {w.shared:g} | {w.accuracy:g} | {w.n} | {a.undecided:.0%} "
                f"| {a.needed:,} | {a.typical:,.0f} | {a.near:.0%} | {a.covered:.0%} |",
                flush=True,
            )
            if w.n >= enough_images.ENOUGH_TO_TELL and a.near < 0.8:
                fall_short.append(f"asks for the right number in {a.near:.0%} of runs in {w}")
    return fall_short


def _asked(both: Ints, n: int) -> enough_images.Needed:
    """What the verdict would ask for the cheapest variant."""
    counted = with_the_best.Counts([both[None].astype(float)], [n])
    return enough_images.needed_by(counted, len(both) - 1, MARGIN)


def _truly_needed(world: World, rng: np.random.Generator) -> int:
    """The images with which the cheapest gets its star in 80 % of runs, by bisection."""
    low, high = 50, 100

    def often(n: int) -> bool:
        return _cheapest_starred(world._replace(n=n), 2000, rng)[0] >= enough_images.CHANCE

    while not often(high):
        low, high = high, 2 * high
    while high - low > high // 20:
        middle = (low + high) // 2
        low, high = (low, middle) if often(middle) else (middle, high)
    return high


# --- 5: pieces --------------------------------------------------------------------------------


def part_pieces(quick: bool, processes: int) -> list[str]:
    """The exact size of the test, by enumeration; limits that others compute too."""
    fall_short = []
    print("| images | loss | level | rejects a true loss of that size at most |")
    print("|---|---|---|---|")
    sizes = (12, 60, 180) if quick else (5, 12, 30, 60, 100, 180, 300, 600)
    for n, loss in product(sizes, (0.02, 0.05)):
        lost, gained = _outcomes(n)
        p = paired_loss.p_at_least(lost, gained, n, loss)
        for level in (0.05, 0.0154, 0.0042):
            size = max(
                float(_chances((lost, gained), n, gain + loss, gain)[p <= level].sum())
                for gain in (0, 0.0005, 0.001, 0.002, 0.004, 0.007, 0.01, 0.02, 0.03, 0.05, 0.1)
            )
            print(f"| {n} | {loss:.0%} | {level:.2%} | {size:.2%} |")
            if size > level * 1.001:
                fall_short.append(
                    f"the test of {loss:.0%} at {level:.2%} rejects in {size:.3%}, n={n}"
                )
    worst = _against_enumeration()
    print(f"\nThe tail differs from enumeration at n <= 12 by at most {worst:.1e}.")
    if worst > 1e-9:
        fall_short.append(f"the tail is off by {worst:.1e}")
    for n in (30, 180, 5000):
        off = abs(
            float(paired_loss.upper(0, 0, n, ALPHA)[0])
            - (1 - (ALPHA / paired_loss.SAFE) ** (1 / n))
        )
        if off > 1e-5:
            fall_short.append(f"the bound without a difference is off by {off:.1e} at n={n}")
    for m in (2, 4, 12):
        for correlation in (0.0, 0.5, 0.9):
            off = abs(_joint(m, correlation) - (1 - ALPHA))
            if off > 5e-4:
                fall_short.append(f"Dunnett's level for {m} at {correlation} is off by {off:.1e}")
    return fall_short


def _outcomes(n: int) -> tuple[Ints, Ints]:
    most = min(n, 30 + int(0.25 * n))
    lost, gained = (x.ravel() for x in np.meshgrid(np.arange(most + 1), np.arange(most + 1)))
    inside = lost + gained <= n
    return lost[inside], gained[inside]


def _chances(outcomes: tuple[Ints, Ints], n: int, p_lost: float, p_gained: float) -> Floats:
    lost, gained = outcomes
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    rest = n - lost - gained
    ways = logs[n] - logs[lost] - logs[gained] - logs[rest]
    chance = np.exp(ways + rest * np.log(1 - p_lost - p_gained))
    return np.asarray(chance * p_lost**lost * np.asarray(p_gained, float) ** gained)


def _against_enumeration() -> float:
    worst = 0.0
    for n in (1, 3, 8, 12):
        lost, gained = _outcomes(n)
        for p_lost, p_gained in ((0.02, 0.0), (0.1, 0.05), (0.4, 0.4), (0.05, 0.6)):
            chances = _chances((lost, gained), n, p_lost, p_gained)
            at = np.arange(-n, n + 1)
            exact = [chances[lost - gained <= a].sum() for a in at]
            worst = max(worst, float(abs(paired_loss.tail(at, n, p_lost, p_gained) - exact).max()))
    return worst


def _joint(m: int, correlation: float) -> float:
    from scipy.stats import multivariate_normal, norm

    z = norm.isf(with_the_best.dunnett(m, correlation))
    matrix = np.full((m, m), correlation) + np.eye(m) * (1 - correlation)
    return float(multivariate_normal.cdf(np.full(m, z), cov=matrix, abseps=1e-5))


# --- all --------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[bool, int], list[str]]] = {
    "pieces": part_pieces,
    "stars": part_stars,
    "power": part_power,
    "images": part_images,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print every part; 1 where something falls short."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a part of the grid")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="default: 2")
    args = parser.parse_args(argv)
    fall_short = []
    for name in args.only or PARTS:
        began = time.monotonic()
        print(f"\n## {name}\n", flush=True)
        fall_short += [f"{name}: {line}" for line in PARTS[name](args.quick, args.processes)]
        print(f"\n({time.monotonic() - began:.0f} s)", flush=True)
    for line in fall_short:
        print(f"falls short: {line}", file=sys.stderr)
    return 1 if fall_short else 0


if __name__ == "__main__":
    sys.exit(main())
