"""Shared by the benchmarks that launch one artifact as two cases on this host."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from harness.core.specs import HostSpec
from harness.core.types import Artifact, Case, Timing
from harness.devices.host.target import HostTarget
from harness.devices.host.worker_process import WORKER
from harness.measure import prepare
from harness.measure.planning import QUICK_TIMING
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.system.progress import Narrator

SHORT = QUICK_TIMING

# The host's worker, with every inference followed by a busy wait of a share of its own time.
_DELAYED = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
timed = worker.timed

def slower(invoke, *rest):
    def call():
        began = time.perf_counter_ns()
        invoke()
        end = time.perf_counter_ns()
        end += (end - began) * {share}
        while time.perf_counter_ns() < end:
            pass
    return timed(call, *rest)

worker.timed = slower
sys.exit(worker.serve(worker.launch))
"""


class Pair:
    """One artifact as case A and, with `delay` added to every inference, as case B."""

    def __init__(self, what: str, folder: Path, narrator: Narrator, delay: float = 0.0) -> None:
        job = resolve(Request(what=(what,), out=folder, untrained=True))
        artifacts = prepare.build_artifacts(job, narrator).artifacts
        ((name, self.artifact),) = artifacts.items()
        inputs = prepare.input_sets(artifacts, 0)[name]
        self.case = Case(variant=name, device="host", runtime="litert")
        worker = folder / f"delayed_{delay}.py"
        worker.write_text(_DELAYED.format(worker=str(WORKER), share=delay))
        self.sides = (
            HostTarget("host", HostSpec(), folder),
            HostTarget("host", HostSpec(), folder, worker=worker if delay else WORKER),
        )
        for side in self.sides:
            side.prepare(self.artifact, inputs)

    def rounds(self, rng: random.Random, timing: Timing = SHORT) -> Iterator[tuple[float, float]]:
        """Medians (A, B) of one launch each, in random order, endlessly."""
        while True:
            order = [0, 1]
            rng.shuffle(order)
            found = {i: median(self._launch(i, timing)) for i in order}
            yield found[0], found[1]

    def _launch(self, side: int, timing: Timing) -> tuple[int, ...]:
        return self.sides[side].launch(self.case, self.artifact, timing, 1).latency_ns


def described(artifact: Artifact) -> str:
    """What was measured, for the benchmark's first line."""
    return f"{artifact.variant} ({artifact.sha256[:12]})"
