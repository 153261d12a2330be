"""Does the harness time what the official tools time? Like with like:

- runtime litert-compiled against `litert-benchmark` (the Python tool in the ai-edge-litert wheel),
  which both use CompiledModel of the same build;
- runtime litert, the Interpreter, against a `benchmark_model` of dialect A, if you give one: it is
  another build of the runtime, and the ratio then includes that difference;
- for information, Interpreter over CompiledModel, both ours: what an app sees depends on which of
  the two it uses.

Launch by launch in random order, with the same threads, warm-up and number of iterations. Prints,
per variant, the ratio of medians ours / official with its 95 % interval over pairs. That of the
first pair should contain 1, or lie within 0.97 to 1.03; else the exit status is 1.

    python benchmarks/fidelity.py [--pairs 15] [--benchmark-model FILE] [VARIANT ...]
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.core.attendant import Attendant
from harness.core.types import Artifact, Case, Timing
from harness.devices import Target
from harness.devices.runners import benchmark_model as runner
from harness.measure import lanes, prepare
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.stats.ratio import paired
from harness.system.progress import Narrator

ITERATIONS, WARMUP = 100, 5
TIMING = Timing(
    min_time_ns=0,
    min_iterations=ITERATIONS,
    max_iterations=ITERATIONS,
    warmup_time_ns=0,
    min_warmup=WARMUP,
    max_warmup=WARMUP,
)


def ours(target: Target, case: Case, artifact: Artifact) -> float:
    """Median of one launch of the harness, in ns."""
    return median(target.launch(case, artifact, TIMING, 1).latency_ns)


def official(artifact: Artifact, folder: Path) -> float:
    """Median of one launch of the official tool, in ns."""
    result = folder / "result.json"
    subprocess.run(
        [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model",
         "--model", artifact.path, "--num_runs", str(ITERATIONS), "--warmup_runs", str(WARMUP),
         "--num_threads", "1", "--result_json", str(result)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return float(json.loads(result.read_text())["latency"]["median_ms"]) * 1e6


def classic(tool: Path, artifact: Artifact) -> float:
    """Median of one launch of the classic benchmark_model of this machine, in ns."""
    done = subprocess.run(
        [str(tool), f"--graph={artifact.path}", f"--num_runs={ITERATIONS}", "--min_secs=0",
         f"--warmup_runs={WARMUP}", "--warmup_min_secs=0", "--num_threads=1"],
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    found = runner.interpret(0, done.stdout, done.stderr, delegate="cpu", dialect="A")
    return float(found.latency.median_ns)


def main() -> int:
    """Print the lines of each variant; exit status 1 if one is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["scratch", "mobilenet", "mobilenet-int8"])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--benchmark-model", type=Path)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    off = 0
    with tempfile.TemporaryDirectory() as scratch, Narrator() as narrator:
        folder = Path(scratch)
        job = resolve(Request(what=tuple(args.what), out=folder, untrained=True))
        artifacts = prepare.build_artifacts(job, narrator).artifacts
        inputs = prepare.input_sets(artifacts, args.seed)
        target = lanes.open_target("host", job.devices["host"], folder, Attendant())
        for name, artifact in artifacts.items():
            target.prepare(artifact, inputs[name])
            interpreter, compiled = (
                functools.partial(
                    ours, target, Case(variant=name, device="host", runtime=runtime), artifact
                )
                for runtime in ("litert", "litert-compiled")
            )
            theirs = functools.partial(official, artifact, folder)
            off += not _told(f"{name}: litert-compiled / litert-benchmark", rng, args.pairs,
                             compiled, theirs)  # fmt: skip
            if tool := args.benchmark_model:
                _told(f"{name}: litert / benchmark_model", rng, args.pairs,
                      interpreter, functools.partial(classic, tool, artifact))  # fmt: skip
            _told(f"{name}: litert / litert-compiled", rng, args.pairs, interpreter, compiled)
    return 1 if off else 0


def _told(
    what: str,
    rng: random.Random,
    pairs: int,
    one: Callable[[], float],
    other: Callable[[], float],
) -> bool:
    """Measure both in turn and print their ratio; the answer is whether they agree."""
    found = []
    for _ in range(pairs):
        if rng.random() < 0.5:
            a, b = one(), other()
        else:
            b = other()
            a = one()
        found.append((b, a))
    ratio = paired(found)
    assert ratio is not None
    e = ratio.estimate()
    close = e.ci_low <= 1 <= e.ci_high or (e.ci_low >= 0.97 and e.ci_high <= 1.03)
    print(
        f"{what} = {e.point:.3f} [{e.ci_low:.3f}, {e.ci_high:.3f}] over {e.n} pairs; medians "
        f"{median(a for _, a in found) / 1e6:.2f} and {median(b for b, _ in found) / 1e6:.2f} ms: "
        f"{'agree' if close else 'DIFFER'}",
        flush=True,
    )
    return close


if __name__ == "__main__":
    sys.exit(main())
