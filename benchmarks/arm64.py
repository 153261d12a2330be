"""What the emulated ARM64 core's counts are worth, measured.

Prints four answers, as Markdown:

1. every variant's instructions, MACs and instructions per MAC on each core, with the time that the
   launch takes, beside the host's latency from one interleaved run;
2. both rankings, and how alike they are (Spearman's rank correlation);
3. whether the counts are exactly the same, run after run, each in its own folders, on a machine
   with all processors kept busy;
4. whether the gate (`bench --baseline`, a process each time) lets an unchanged artifact pass on
   that machine, and stops one with a single channel more.

    python benchmarks/arm64.py [--repeats 5] [--gate-repeats 20] [--no-load] [VARIANT ...]
    python benchmarks/arm64.py --reports HOST.json A53.json A76.json ...     1 and 2 from these

Needs `python -m harness setup arm64`. A launch takes seconds, but minutes for vgg16 and vgg16-gap
in float32: these are left out unless they are named. For the time a launch takes, bind it to one
processor (`taskset -c 0`): on several, as many launches run at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.core import units
from harness.core.types import CaseReport, Report
from harness.project import config
from harness.results import store

CORES = {"a53": "cortex-a53", "a76": "cortex-a76", "max": "max"}
SMALL = ("student", "student-int8", "vgg16-slim", "scratch", "scratch-int8", "pruned",
         "pruned-int8", "mobilenet", "mobilenet-int8", "mobilenet-gray-int8",
         "vgg16-gap-int8")  # fmt: skip
# The network of the gate's proof, and the same with one channel more in its fifth layer, which is
# about one per cent more work.
PLAIN, WIDER = [16, 32, 64, 128, 256, 512], [16, 32, 64, 128, 257, 512]
PROOF = "variants: {{net: {{model: scratch, recipe: int8, options: {{filters: {}}}}}}}\n"


@contextlib.contextmanager
def load(wanted: bool) -> Iterator[None]:
    """While inside, keep every processor busy."""
    # They end with their parent, however that ends.
    loop = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
    spin = [sys.executable, "-c", loop]
    spinning = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)] if wanted else []
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def project(folder: Path) -> Path:
    """A project with the shipped models, and a device for each core."""
    cores = "".join(f"  {n}: {{kind: arm64-emulated, cpu: {cpu}}}\n" for n, cpu in CORES.items())
    (folder / "devices.yaml").write_text("devices:\n  host: {kind: host}\n" + cores)
    (folder / "models").symlink_to(config.load_project(None).models_dir)
    return folder


def bench(folder: Path, *args: str | Path) -> tuple[int, str]:
    """`harness bench` in a process of its own: (exit status, its last words)."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "bench", "--untrained", "--weights", "random",
         "--project", folder,
         "--out", folder / "reports", *args],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines()[-1] if done.stderr else ""


def measured(folder: Path, *args: str | Path) -> Report:
    """The report of a run that must succeed."""
    file = folder / "report.json"
    status, said = bench(folder, *args, "--json", file)
    if status:
        raise SystemExit(f"bench {' '.join(map(str, args))}: exit status {status}: {said}")
    return store.read_report(file)


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the smallest; equal values share the mean of their ranks."""
    return [sum(o < v for o in values) + (values.count(v) + 1) / 2 for v in values]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's: 1 if both orders are the same, -1 if one is the other's reverse."""
    x, y = ranks(a), ranks(b)
    mean = (len(a) + 1) / 2
    above = sum((i - mean) * (j - mean) for i, j in zip(x, y, strict=True))
    below = sum((i - mean) ** 2 for i in x) * sum((j - mean) ** 2 for j in y)
    return float(above / below**0.5) if below else float("nan")


def point(case: CaseReport, metric: str) -> float:
    """A metric that must be there."""
    value = case.metrics[metric].point
    if value is None:
        raise SystemExit(f"{case.case.id}: {metric}: {case.metrics[metric].absent_because}")
    return value


def show_table(reports: Sequence[Report]) -> None:
    """Answers 1 and 2."""
    macs = {a.variant: a.macs or 0 for report in reports for a in report.artifacts}
    core_of = {d.name: d.cpu for report in reports for d in report.devices if d.emulated}
    host: dict[str, CaseReport] = {}
    counted: dict[str, dict[str, CaseReport]] = {}
    for case in (case for report in reports for case in report.cases):
        if core := core_of.get(case.device):
            counted.setdefault(core, {})[case.variant] = case
        else:
            host[case.variant] = case
    print("| variant | MACs | host latency | core | instructions | per MAC | launch |")
    print("|---|--:|--:|---|--:|--:|--:|")
    for variant in sorted(macs, key=macs.__getitem__):
        latency = units.interval(host[variant].metrics["latency"], "time")
        for core, cases in sorted(counted.items()):
            if variant not in cases:
                print(f"| {variant} | {macs[variant]:,} | {latency} | {core} | not run | | |")
                continue
            case = cases[variant]
            print(
                f"| {variant} | {macs[variant]:,} | {latency} | {core} "
                f"| {point(case, 'instructions'):,.0f} "
                f"| {point(case, 'instructions_per_mac'):.3f} "
                f"| {units.duration(case.launches[0].wall_ns)} |"
            )
    print()
    for core, cases in sorted(counted.items()):
        both = [v for v in cases if v in host]
        by_count = sorted(both, key=lambda v: point(counted[core][v], "instructions"))
        latencies = [point(host[v], "latency") for v in both]
        same = rank_correlation([point(cases[v], "instructions") for v in both], latencies)
        print(f"{core}: rank correlation {same:.2f} over {len(both)} variants")
        print(f"  by instructions: {', '.join(by_count)}")
        by_time = sorted(both, key=lambda v: point(host[v], "latency"))
        print(f"  by host latency: {', '.join(by_time)}", flush=True)


def show_repeats(folder: Path, what: Iterable[str], repeats: int) -> None:
    """Answer 3."""
    seen: dict[str, list[tuple[int, ...]]] = {}
    for _ in range(repeats):
        for case in measured(folder, *what, "--device", "a76").cases:
            seen.setdefault(case.variant, []).append(case.launches[0].instructions)
    differing = {v: n for v, n in seen.items() if len({c for counts in n for c in counts}) > 1}
    print(f"{repeats} runs of {len(seen)} variants on {CORES['a76']}:", end=" ")
    print(
        "; ".join(f"{v}: {n}" for v, n in differing.items()) or "all counts identical", flush=True
    )


def show_gate(folder: Path, repeats: int) -> None:
    """Answer 4."""
    (folder / "models").unlink()
    (folder / "models").mkdir()
    variants, baseline = folder / "models/variants.yaml", folder / "baseline.json"
    variants.with_name("scratch.py").symlink_to(config.load_project(None).models_dir / "scratch.py")
    variants.write_text(PROOF.format(PLAIN))
    before = measured(folder, "net", "--device", "a76", "--as-baseline", baseline)
    gate = ("net", "--device", "a76", "--baseline", baseline, "--exact", "--strict")
    statuses = [bench(folder, *gate)[0] for _ in range(repeats)]
    print(f"unchanged: {statuses.count(0)} of {repeats} runs pass", flush=True)
    variants.write_text(PROOF.format(WIDER))
    after = folder / "after.json"
    status, said = bench(folder, *gate, "--json", after)
    wider = store.read_report(after)
    work = point(wider.cases[0], "instructions") / point(before.cases[0], "instructions") - 1
    macs = (wider.artifacts[0].macs or 0) / (before.artifacts[0].macs or 1) - 1
    print(
        f"one channel more, {units.percent(macs)} more MACs, {units.percent(work)} more "
        f"instructions: exit status {status}, {said}"
    )


def main() -> int:
    """Print all answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=list(SMALL))
    parser.add_argument("--reports", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--gate-repeats", type=int, default=20)
    parser.add_argument("--no-table", action="store_true", help="only answers 3 and 4")
    parser.add_argument("--no-load", action="store_true", help="leave the machine alone")
    args = parser.parse_args()
    if args.reports:
        show_table([store.read_report(file) for file in args.reports])
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = project(Path(scratch))
        if not args.no_table:
            # Only counts stand a busy machine, so the host comes first.
            host = measured(folder, *args.what, "--device", "host", "--launches", "7")
            show_table([host, measured(folder, *args.what, "--device", ",".join(CORES))])
        with load(not args.no_load):
            show_repeats(folder, args.what, args.repeats)
            show_gate(folder, args.gate_repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
