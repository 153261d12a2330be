"""How often does the gate raise an alarm when nothing has changed?

The same file under two names, benched again and again on this host as it is. Two kinds of gate
decisions at --max-regression 5 %:
- within one run: name A against name B, paired by round;
- between two runs that follow one another: as `bench --baseline` in CI does.
At most 5 % of each kind may be a regression.

    python benchmarks/aa.py [--decisions 60] [--launches 7] [VARIANT]
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

from harness.analysis import gate
from harness.analysis.compare import compare
from harness.core.types import Comparison, Report
from harness.measure import prepare, session
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.system.progress import Narrator


def run(a: Path, b: Path, launches: int, seed: int, narrator: Narrator) -> Report:
    """One bench of the two names."""
    request = Request(
        what=(str(a), str(b)),
        launches=launches,
        quick=True,
        seed=seed,
        untrained=True,
        out=a.parent / "reports",
    )
    job = resolve(request)
    return session.bench(job, narrator).report


def tell(kind: str, found: list[Comparison]) -> int:
    """Print one kind's outcomes; the number of false alarms."""
    alarms = sum(c.outcome == "regression" for c in found)
    others = {o: sum(c.outcome == o for c in found) for o in ("no change", "inconclusive")}
    withheld = sum(any(f.code == "machine-changed" for f in c.findings) for c in found)
    print(
        f"{kind}: {alarms} false alarms in {len(found)} decisions ({alarms / len(found):.1%});"
        f" {others}, {withheld} withheld because the machine had changed"
    )
    return alarms


def main() -> int:
    """Exit status 1 if more than 5 % of either kind are alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="mobilenet-int8")
    parser.add_argument("--decisions", type=int, default=60)
    parser.add_argument("--launches", type=int, default=7)
    args = parser.parse_args()
    specs = gate.specs()
    with tempfile.TemporaryDirectory() as scratch, Narrator() as narrator:
        folder = Path(scratch)
        job = resolve(Request(what=(args.what,), out=folder, untrained=True))
        artifacts = prepare.build_artifacts(job, narrator).artifacts
        a, b = folder / "a.tflite", folder / "b.tflite"
        for name in (a, b):
            shutil.copy(artifacts[args.what].path, name)
        reports = [run(a, b, args.launches, seed, narrator) for seed in range(args.decisions + 1)]
    within = [compare(r, r, specs=specs, variants={"a": "b"}) for r in reports]
    between = [compare(x, y, specs=specs) for x, y in itertools.pairwise(reports)]
    alarms = tell("within one run, paired", within), tell("between runs", between)
    return (
        1 if max(a / len(r) for a, r in zip(alarms, (within, between), strict=True)) > 0.05 else 0
    )


if __name__ == "__main__":
    sys.exit(main())
