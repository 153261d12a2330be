"""What the emulated ARM64 core's counts are worth, measured.

Prints four answers, as Markdown:

1. every variant's instructions, MACs and instructions per MAC on each core, beside host latency,
   with the time a launch takes;
2. how alike the rankings by instructions and by host latency are (Spearman's rank correlation);
3. whether the counts are the same to the last instruction, launch after launch, on a machine
   whose every processor is kept busy;
4. whether the gate lets an unchanged artifact pass and stops one with a single channel more.

    python benchmarks/arm64.py [--repeats 5] [--gate-repeats 20] [--no-load] [VARIANT ...]

Needs `python -m harness setup arm64`. A launch takes seconds for the small variants, and for vgg16
many minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from harness import assemble, gate, session
from harness.core import units
from harness.core.compare import compare
from harness.core.specs import ArmSpec, HostSpec, VariantsFile, VariantSpec
from harness.core.types import (
    SCHEMA_VERSION,
    Artifact,
    Case,
    CaseReport,
    Evidence,
    Plan,
    Report,
    Timing,
    Tool,
)
from harness.progress import Narrator
from harness.request import Request, resolve
from harness.targets import Target
from harness.targets.arm64 import Arm64Target, ready
from harness.targets.host import HostTarget

CORES = ("cortex-a53", "cortex-a76", "max")
SMALL = ("scratch", "scratch-int8", "pruned", "pruned-int8", "mobilenet", "mobilenet-int8",
         "mobilenet-gray-int8")  # fmt: skip
GATE_CORE = "cortex-a76"
# The network of the gate's proof, and the same with one channel more in its second layer.
FILTERS = [16, 32, 64, 128, 256, 512]
PROOF = {
    "plain": VariantSpec(model="scratch", recipe="int8", options={"filters": FILTERS}),
    "wider": VariantSpec(
        model="scratch", recipe="int8", options={"filters": [16, 33, *FILTERS[2:]]}
    ),
}


@contextlib.contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Keep every processor busy meanwhile."""
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


def measured(target: Target, artifact: Artifact, inputs: Path, n: int) -> Evidence:
    """`n` launches of one artifact, with the metrics."""
    facts = target.facts()
    case = Case(variant=artifact.variant, device=facts.name, runtime="litert")
    target.prepare(artifact, inputs)
    about = Evidence(
        case=case,
        plan=Plan(cases=(case,)),
        artifact=artifact,
        launches=tuple(target.launch(case, artifact, Timing(), i) for i in range(n)),
        device=facts,
    )
    return msgspec.structs.replace(about, metrics=assemble.metrics_of(about))


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


def point(about: Evidence, metric: str) -> float:
    """A metric that must be there."""
    value = about.metrics[metric].point
    if value is None:
        raise SystemExit(f"{about.case.id}: {metric}: {about.metrics[metric].absent_because}")
    return value


def one_case_report(run_id: str, about: Evidence) -> Report:
    """A report of one case, for the gate."""
    case = CaseReport(
        variant=about.case.variant, device=about.case.device, runtime="litert", delegate="cpu",
        threads=1, status="ok", metrics=about.metrics, launches=about.launches,
    )  # fmt: skip
    return Report(
        schema_version=SCHEMA_VERSION, tool=Tool(name="mobile-bench-harness", version="0"),
        run_id=run_id, started_at="2026-01-01T00:00:00+00:00", host={}, plan=about.plan,
        devices=(about.device,), artifacts=(about.artifact,), cases=(case,),
    )  # fmt: skip


def outcome(before: Evidence, after: Evidence) -> str:
    """What the gate says of the instructions, from one launch of each side."""
    comparison = compare(
        one_case_report("before", before), one_case_report("after", after), specs=gate.specs()
    )
    (row,) = (m for c in comparison.cases for m in c.metrics if m.metric == "instructions")
    return str(row.outcome)


def show_table(
    artifacts: dict[str, Artifact],
    inputs: dict[str, Path],
    targets: dict[str, Arm64Target],
    latencies: dict[str, float],
    repeats: int,
) -> None:
    """Answers 1, 2 and 3."""
    print("| variant | MACs | host latency | core | instructions | per MAC | init | launch |")
    print("|---|--:|--:|---|--:|--:|--:|--:|")
    counts: dict[str, list[float]] = {core: [] for core in targets}
    differing: list[str] = []
    for name, artifact in artifacts.items():
        for core, target in targets.items():
            about = measured(target, artifact, inputs[name], repeats)
            counts[core].append(point(about, "instructions"))
            seen = {launch.instructions for launch in about.launches}
            if len(seen) > 1 or len(set(next(iter(seen)))) > 1:
                differing.append(f"{name} on {core}: {sorted(seen)}")
            took = median(launch.wall_ns for launch in about.launches[1:] or about.launches)
            print(
                f"| {name} | {artifact.macs or 0:,} | {units.duration(latencies[name])} | {core} "
                f"| {counts[core][-1]:,.0f} | {point(about, 'instructions_per_mac'):.3f} "
                f"| {point(about, 'instructions_init'):,.0f} | {units.duration(took)} |",
                flush=True,
            )
    print()
    for core, values in counts.items():
        same = rank_correlation(values, [latencies[name] for name in artifacts])
        print(f"rank correlation of instructions on {core} with host latency: {same:.2f}")
    print(
        f"{repeats} launches of {len(artifacts)} variants on {len(targets)} cores: "
        + ("all counts identical" if not differing else "; ".join(differing)),
        flush=True,
    )


def show_gate(
    artifacts: dict[str, Artifact], inputs: dict[str, Path], target: Arm64Target, repeats: int
) -> None:
    """Answer 4."""
    before = measured(target, artifacts["plain"], inputs["plain"], 1)
    passed = sum(
        outcome(before, measured(target, artifacts["plain"], inputs["plain"], 1)) == "no change"
        for _ in range(repeats)
    )
    wider = msgspec.structs.replace(artifacts["wider"], variant="plain")
    after = measured(target, wider, inputs["wider"], 1)
    macs = (wider.macs or 0) / (artifacts["plain"].macs or 1) - 1
    work = point(after, "instructions") / point(before, "instructions") - 1
    print(f"unchanged: {passed} of {repeats} launches pass")
    print(
        f"one channel more, {units.percent(macs)} more MACs, {units.percent(work)} more "
        f"instructions: {outcome(before, after)}"
    )


def main() -> int:
    """Print all answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=list(SMALL))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--gate-repeats", type=int, default=20)
    parser.add_argument("--cores", nargs="*", default=list(CORES))
    parser.add_argument("--no-load", action="store_true", help="leave the machine alone")
    args = parser.parse_args()
    with (
        contextlib.ExitStack() as closing,
        tempfile.TemporaryDirectory() as scratch,
        Narrator() as narrator,
    ):
        folder = Path(scratch)
        job = resolve(Request(what=tuple(args.what), out=folder, untrained=True))
        artifacts, _ = session.build_artifacts(job, narrator)
        inputs = session.input_sets(artifacts, seed=0)
        proof = job._replace(
            project=job.project._replace(variants=VariantsFile(variants=PROOF)), variants=PROOF
        )
        of_proof, _ = session.build_artifacts(proof, narrator)
        targets = {}
        for core in {*args.cores, GATE_CORE}:
            spec = ArmSpec(cpu=core, launch_timeout_s=3600)
            targets[core] = Arm64Target(core, spec, folder, ready(spec))
            closing.callback(targets[core].close)
        host = HostTarget("host", HostSpec(), folder)
        closing.callback(host.close)
        # Only counts stand a busy machine, so the host comes first.
        latencies = {
            name: point(measured(host, artifact, inputs[name], 7), "latency")
            for name, artifact in artifacts.items()
        }
        with load(not args.no_load):
            wanted = {core: targets[core] for core in args.cores}
            show_table(artifacts, inputs, wanted, latencies, args.repeats)
            show_gate(
                of_proof, session.input_sets(of_proof, seed=0), targets[GATE_CORE],
                args.gate_repeats,
            )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
