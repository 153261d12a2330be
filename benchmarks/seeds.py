"""Does the answer depend on the seed? `python benchmarks/seeds.py [--seeds 0,1,2] [VARIANT ...]`.

Each seed draws other demo images, another split and other first weights, and the order of the
launches. Per seed: trains what is not in the cache, measures, and prints a row per variant. Exit
status 1 if with any seed a claim about the demo images does not hold (`benchmarks/_claims.py`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _claims import shortcomings

from harness.analysis import metric_specs
from harness.api import bench
from harness.core import units
from harness.core.types import Report

METRICS = ("size", "gzip_size", "latency", "peak_rss", "accuracy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", default=["*"], help="default: all of them")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--full", action="store_true", help="not --quick")
    parser.add_argument("--out", type=Path, default=Path("reports"))
    args = parser.parse_args()
    wrong = []
    for seed in map(int, args.seeds.split(",")):
        report = bench(*args.variants, seed=seed, quick=not args.full, out=args.out)
        print("\n".join(table(report, seed)), flush=True)
        wrong += [f"seed {seed}: {what}" for what in shortcomings(report)]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(wrong)} things do not hold")
    return 1 if wrong else 0


def table(report: Report, seed: int) -> list[str]:
    """Markdown: a row per variant, and below it the verdict."""
    heads = [m.replace("_size", "").replace("_", " ") for m in METRICS]
    lines = [f"\n### Seed {seed}\n", f"| variant | {' | '.join(heads)} |", "|---" * 6 + "|"]
    for case in sorted(report.cases, key=lambda c: -(c.metrics["size"].point or 0)):
        cells = [
            units.with_interval(case.metrics.get(name), metric_specs.specs()[name].quantity)
            for name in METRICS[:-1]
        ]
        cells.append(units.interval(case.metrics["accuracy"], "ratio"))
        lines.append(f"| {case.variant} | {' | '.join(cells)} |")
    if report.verdict is not None:
        lines += ["", report.verdict.reason, *report.verdict.notes]
    return lines


if __name__ == "__main__":
    sys.exit(main())
