"""Does an inference cost the same through CompiledModel as through the Interpreter?

    python benchmarks/apis.py [--copies 6] [--rounds 150] [VARIANT ...]

In one process, so that both have the same libraries, clock and neighbours: several copies of each,
loaded as the harness's worker loads them, one inference of each by turns in random order. Processor
time of the thread, which other programs disturb less than the clock does. Prints the ratio of the
two APIs with its 95 % interval over copies, and how far copies of one API differ: they run the same
code on the same input, and only the addresses of their memory differ. Exits 1 if the interval lies
outside 0.97 to 1.03.
"""

from __future__ import annotations

import argparse
import gc
import math
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from harness.core.types import Artifact
from harness.devices.host.worker import loader_of
from harness.measure import prepare
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.system.progress import Narrator

LOW, HIGH = 0.97, 1.03
APIS = ("litert", "litert-compiled")


def loaded(artifact: Artifact, inputs: Path, api: str) -> Any:
    """A model behind the calls of the harness's worker, with its input."""
    given = [tensor.name for tensor in artifact.inputs]
    asked = [(tensor.name, 0.0, 0) for tensor in artifact.outputs]
    request = {
        "model": artifact.path,
        "threads": 1,
        "signature": artifact.signature,
        "given": given,
        "asked": asked,
    }
    model = loader_of(api)(request)
    archive = np.load(inputs)
    model.set_inputs([archive[f"input_{place}"][0] for place in range(len(given))])
    return model


def times(models: dict[tuple[str, int], Any], rounds: int) -> dict[tuple[str, int], float]:
    """The median processor time of an inference of each, in ns."""
    found: dict[tuple[str, int], list[int]] = {key: [] for key in models}
    rng = random.Random(0)
    for number in range(rounds + 3):
        for key in rng.sample(list(models), len(models)):
            began = time.thread_time_ns()
            models[key].invoke()
            if number >= 3:
                found[key].append(time.thread_time_ns() - began)
    return {key: statistics.median(all_) for key, all_ in found.items()}


def main() -> int:
    """Print a line for each variant; exit status 1 if one is off."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", default=["scratch", "mobilenet-int8"])
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=150)
    asked = parser.parse_args()
    off = 0
    with tempfile.TemporaryDirectory() as scratch, Narrator() as narrator:
        job = resolve(Request(what=tuple(asked.what), out=Path(scratch), untrained=True))
        artifacts = prepare.build_artifacts(job, narrator).artifacts
        inputs = prepare.input_sets(artifacts, 0)
    gc.disable()
    for name, artifact in artifacts.items():
        keys = [(api, copy) for copy in range(asked.copies) for api in APIS]
        models = {(api, copy): loaded(artifact, inputs[name], api) for api, copy in keys}
        median = times(models, asked.rounds)
        logs = [math.log(median[APIS[1], c] / median[APIS[0], c]) for c in range(asked.copies)]
        mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
        half = error * float(stats.t.ppf(0.975, len(logs) - 1))
        low, high = math.exp(mean - half), math.exp(mean + half)
        spread = []
        for api in APIS:
            mine = [median[api, copy] for copy in range(asked.copies)]
            spread.append(f"{api} up to {max(mine) / min(mine):.3f}")
        print(
            f"{name}: litert-compiled / litert = {math.exp(mean):.3f} [{low:.3f}, {high:.3f}] over "
            f"{asked.copies} copies; copies of one API differ: {', '.join(spread)}",
            flush=True,
        )
        off += high < LOW or low > HIGH
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
