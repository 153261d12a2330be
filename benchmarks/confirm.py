"""How often does the gate say no although nothing has changed, with --confirm and without?

    .venv/bin/python -m benchmarks.confirm [DECISIONS]

Reports of three variants are simulated: launches of a variant scatter by 2 %, and in each session
every variant as a whole is slower or faster by a random few per cent, as on a machine that is
shared with others. The gate itself is the real one, at its 5 %. With --confirm, what it says no to
is measured again, with the session's luck drawn anew, and compared with the same baseline. Then the
same with variants that are truly slower, to see what --confirm costs: among three, and alone.

Exit status 1 if more than 5 % of the decisions with --confirm are false alarms, by the lower end of
their interval, in any world.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from harness.analysis import confirm, gate
from harness.core.types import Report
from harness.stats.accuracy import wilson
from tests import reports

NAMES = ("scratch", "pruned", "mobilenet-int8")
SHIFTS = (0.0, 0.02, 0.03, 0.05, 0.08)  # how much sessions differ, standard deviation of the log
MOST = 0.05


class World(NamedTuple):
    """The first of so many variants is `slower` by that factor."""

    shift: float
    slower: float = 1.0
    variants: int = 3


WORLDS = (
    *(World(shift) for shift in SHIFTS),
    World(0.05, 1.05),
    *(World(shift, slower) for slower in (1.1, 1.2) for shift in (0.02, 0.03)),
    *(World(shift, slower, 1) for slower in (1.1, 1.2) for shift in (0.02, 0.03)),
    World(0.05, 1.5),
)


class Decision(NamedTuple):
    """Whether the gate says no, without and with --confirm, and how many sessions that took."""

    alone: bool
    confirmed: bool
    sessions: int


def session(rng: random.Random, world: World) -> Report:
    """One run of all variants."""
    shapes = {}
    for i, name in enumerate(NAMES[: world.variants]):
        shape = reports.VARIANTS[name]
        luck = rng.lognormvariate(0, world.shift) if world.shift else 1.0
        shapes[name] = shape._replace(
            latency=round(shape.latency * luck * (world.slower if i == 0 else 1))
        )
    made = reports.make(shapes, seed=rng.randrange(2**31), iterations=3)
    return replace(made, run_id=f"run-{rng.randrange(2**40):x}", verdict=None)


def decisions(count: int, world: World) -> Iterator[Decision]:
    """What the gate says, again and again."""
    rng = random.Random(f"{world.shift} {world.slower} {world.variants}")
    unchanged = world._replace(slower=1.0)
    for _ in range(count):
        baseline = session(rng, unchanged)
        sessions = [gate.compared(session(rng, world), baseline, None)]
        while asked := confirm.doubtful(sessions):
            again = session(rng, world)
            again = replace(again, cases=tuple(c for c in again.cases if c.case in asked))
            sessions.append(gate.compared(again, baseline, None))
        report = confirm.confirmed(sessions)
        yield Decision(_says_no(sessions[0]), _says_no(report), len(sessions))


def _says_no(report: Report) -> bool:
    assert report.comparison is not None
    return bool(report.comparison.with_outcome("regression"))


def told(said: list[bool]) -> tuple[str, float]:
    """The share with its 95 % interval, and the interval's lower end."""
    found = wilson(sum(said), len(said))
    return f"{found.point:6.1%} ({found.ci_low:.1%} to {found.ci_high:.1%})", found.ci_low


def main() -> int:
    """Print both rates in every world."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    worst = 0.0
    print(f"{count} decisions each; the gate says no\n")
    print(f"{'sessions differ by':18} {'truth':22} {'without':24} {'with --confirm':24} sessions")
    for world in WORLDS:
        found = list(decisions(count, world))
        said, low = told([d.confirmed for d in found])
        what = "unchanged" if world.slower == 1 else f"one {world.slower - 1:.0%} slower"
        what += f", of {world.variants}"
        took = [d.sessions for d in found if d.alone]
        print(f"{world.shift:<18.0%} {what:22} {told([d.alone for d in found])[0]:24} {said:24} "
              f"{sum(took) / max(1, len(took)):.1f}", flush=True)  # fmt: skip
        if world.slower <= 1.05:
            worst = max(worst, low)
    print("\nsessions: how many there are, on average, once the first one says no")
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
