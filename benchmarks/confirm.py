"""How often does the gate say no though nothing has changed, with --confirm and without?

    .venv/bin/python -m benchmarks.confirm [DECISIONS]

Reports of three variants are simulated: launches of a variant scatter by 2 %, and in each session
every variant is as a whole slower or faster by a random few per cent, as on a machine that others
use too. The gate itself is the real one, at its 5 %. With --confirm, what it says no to is measured
again, with the session's luck drawn anew, and compared with the same baseline. Then the same with
one variant that is truly slower, to see what --confirm costs.

Exit status 1 if more than 5 % of the decisions with --confirm are false alarms, by the lower end of
their interval, in a world whose sessions differ by up to 3 %.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from msgspec.structs import replace

from harness.analysis import confirm, gate
from harness.core.types import Report
from harness.stats.accuracy import wilson
from tests import reports

NAMES = ("scratch", "pruned", "mobilenet-int8")
WORLDS = (0.0, 0.02, 0.03, 0.05)  # how much sessions differ, standard deviation of the logarithm
SLOWER = (1.1, 1.2)
SHIFT = 0.03  # of the world in which variants are slower
MOST = 0.05


def session(rng: random.Random, shift: float, slower: float = 1.0) -> Report:
    """One run of all variants; the first is `slower` by that factor."""
    shapes = {}
    for i, name in enumerate(NAMES):
        shape = reports.VARIANTS[name]
        luck = rng.lognormvariate(0, shift) if shift else 1.0
        shapes[name] = shape._replace(
            latency=round(shape.latency * luck * (slower if i == 0 else 1))
        )
    made = reports.make(shapes, seed=rng.randrange(2**31), iterations=3)
    return replace(made, run_id=f"run-{rng.randrange(2**40):x}", verdict=None)


def decisions(count: int, shift: float, slower: float = 1.0) -> Iterator[tuple[bool, bool]]:
    """Whether the gate says no, without and with --confirm."""
    rng = random.Random(f"{shift} {slower}")
    for _ in range(count):
        baseline = session(rng, shift)
        report = gate.compared(session(rng, shift, slower), baseline, None)
        asked = confirm.doubtful(report)
        alarm = bool(asked)
        if asked:
            again = session(rng, shift, slower)
            again = replace(again, cases=tuple(c for c in again.cases if c.case in asked))
            compared = gate.compared(again, baseline, None).comparison
            report = confirm.confirmed(report, again, compared)
        assert report.comparison is not None
        yield alarm, bool(report.comparison.with_outcome("regression"))


def told(alarms: list[bool]) -> tuple[str, float]:
    """The share with its 95 % interval, and the interval's lower end."""
    found = wilson(sum(alarms), len(alarms))
    return f"{found.point:6.1%} ({found.ci_low:.1%} to {found.ci_high:.1%})", found.ci_low


def main() -> int:
    """Print both rates in every world."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    worst = 0.0
    print(f"{count} decisions each; the gate says no\n")
    print(f"{'sessions differ by':20} {'variant':12} {'without':24} with --confirm")
    for shift, slower in [*((s, 1.0) for s in WORLDS), *((SHIFT, x) for x in SLOWER)]:
        without, with_it = zip(*decisions(count, shift, slower), strict=True)
        said, low = told(list(with_it))
        what = "unchanged" if slower == 1 else f"{slower - 1:.0%} slower"
        print(f"{shift:<20.0%} {what:12} {told(list(without))[0]:24} {said}", flush=True)
        if slower == 1.0 and shift <= SHIFT:
            worst = max(worst, low)
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
