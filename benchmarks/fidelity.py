"""Does the harness time what the official tool times?

Our worker against `litert-benchmark` (the Python tool in the ai-edge-litert wheel, so the same
build of the runtime), launch by launch in random order, with the same threads, warm-up and number
of iterations. Prints, per variant, the ratio of medians ours / official with its 95 % interval
over pairs. It should contain 1, or lie within 0.97 to 1.03.

    python benchmarks/fidelity.py [--pairs 15] [VARIANT ...]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from harness.core.attendant import Attendant
from harness.core.types import Artifact, Case, Timing
from harness.devices import Target
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


def main() -> int:
    """Print a line per variant; exit status 1 if one is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["scratch", "mobilenet", "mobilenet-int8"])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    off = 0
    with tempfile.TemporaryDirectory() as scratch, Narrator() as narrator:
        folder = Path(scratch)
        job = resolve(Request(what=tuple(args.what), out=folder, untrained=True))
        artifacts, _ = prepare.build_artifacts(job, narrator)
        inputs = prepare.input_sets(artifacts, args.seed)
        target = lanes.open_target("host", job.devices["host"], folder, Attendant())
        for name, artifact in artifacts.items():
            case = Case(variant=name, device="host", runtime="litert")
            target.prepare(artifact, inputs[name])
            pairs = []
            for _ in range(args.pairs):
                if rng.random() < 0.5:
                    a = ours(target, case, artifact)
                    b = official(artifact, folder)
                else:
                    b = official(artifact, folder)
                    a = ours(target, case, artifact)
                pairs.append((b, a))
            ratio = paired(pairs)
            assert ratio is not None
            e = ratio.estimate()
            close = e.ci_low <= 1 <= e.ci_high or (e.ci_low >= 0.97 and e.ci_high <= 1.03)
            off += not close
            print(
                f"{name}: ours / litert-benchmark = {e.point:.3f} [{e.ci_low:.3f}, {e.ci_high:.3f}]"
                f" over {e.n} pairs; medians {median(a for _, a in pairs) / 1e6:.2f} and"
                f" {median(b for b, _ in pairs) / 1e6:.2f} ms: {'agrees' if close else 'OFF'}",
                flush=True,
            )
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
