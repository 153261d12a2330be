"""Does `ab` find a slowdown that is really there, and how soon?

Case B is the same artifact as case A, run by the same worker with a busy wait of 0, 10 or 20 % of
each inference's own time added. Each trial asks the question of `ab` (is B more than 5 % slower?)
with sequential stopping, and also does what other tools do: one process each with 50 iterations,
"slower" if the ratio of medians is over 1.05.

    python benchmarks/power.py [--trials 10] [--most 76] [VARIANT]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from _pairs import Pair, described

from harness.analysis.sequential import decide, rounds_at
from harness.core.types import Timing
from harness.system.progress import Narrator

FIFTY = Timing(min_time_ns=0, min_iterations=50, max_iterations=50, warmup_time_ns=0, min_warmup=5)


def trial(pair: Pair, rng: random.Random, most: int) -> tuple[str, int]:
    """(outcome, rounds used) of one sequential test."""
    seen: list[tuple[float, float]] = []
    look = 1
    for both in pair.rounds(rng):
        seen.append(both)
        if len(seen) >= rounds_at(look):
            decision = decide(seen, look=look)
            if decision.decided:
                return decision.outcome, len(seen)
            look += 1
        if len(seen) >= most:
            return "inconclusive", len(seen)
    raise AssertionError("rounds end never")


def main() -> int:
    """Print a line per delay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="mobilenet-int8")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--most", type=int, default=76)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch, Narrator() as narrator:
        for delay in (0.0, 0.1, 0.2):
            pair = Pair(args.what, Path(scratch), narrator, delay)
            if delay == 0:
                print(f"{described(pair.artifact)}, {args.trials} trials per row", flush=True)
            outcomes = [trial(pair, rng, args.most) for _ in range(args.trials)]
            found = [n for outcome, n in outcomes if outcome == "regression"]
            singles = [next(pair.rounds(rng, FIFTY)) for _ in range(args.trials)]
            peers = sum(b / a > 1.05 for a, b in singles)
            print(
                f"delay {delay:4.0%}: ab says slower {len(found)}/{args.trials}"
                f" (median {median(found) if found else '-'} rounds),"
                f" same {sum(o == 'no change' for o, _ in outcomes)},"
                f" faster {sum(o == 'improvement' for o, _ in outcomes)},"
                f" undecided {sum(o == 'inconclusive' for o, _ in outcomes)};"
                f" one process of 50 iterations says slower {peers}/{args.trials}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
