"""What does accuracy on the device cost beside the tool's own time?

Lets an emulated phone answer images over its socket, and in turns runs the same executable without
one. The tool's own process time is taken away: what is left is the loop on the phone, the link and
the harness. It must stay below 0.3 s for each image and 20 s for the whole. The emulated tool is a
Python program whose imports take longer than a phone's native tool takes to start, which is why its
whole process counts as its own time.

    python benchmarks/device_accuracy.py [--images 200] [--model FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

import numpy as np

from harness.analysis.on_device import output_bytes
from harness.artifacts.tflite.inspect import inspect_cached
from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.core.types import Artifact, Case
from harness.devices import Examples
from harness.devices.android.target import AndroidTarget, open_target
from tests.paths import DATA
from tests.phones import emulated_process, packed_runner

EACH_S, WHOLE_S = 0.3, 20.0
CASE = Case(variant="m", device="phone", runtime="benchmark_model")


def alone(runner: Path, model: Path, image: Path, folder: Path) -> float:
    """Seconds of one process of the tool that answers one image, without a phone around it."""
    (folder / "state").mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    began = time.perf_counter()
    done = subprocess.run(
        [runner, f"--graph={model}", "--num_threads=1", "--num_runs=1", "--min_secs=0",
         "--warmup_runs=0", "--warmup_min_secs=0", "--input_layer=input0",
         f"--input_layer_value_files=input0:{image}", f"--output_filepath={folder / 'out'}"],
        env={**os.environ, "EMULATED_ROOT": str(folder), "PATH": path},
        capture_output=True,
        check=False,
    )  # fmt: skip
    spent = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--model", type=Path, default=DATA / "models/tiny_int8.tflite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ANDROID_USER_HOME"] = name
        artifact = inspect_cached(args.model, folder, variant="m")
        (tensor,) = artifact.inputs
        rng = np.random.default_rng(0)
        shape = (args.images, *tensor.shape[1:])
        images = folder / "images"
        rng.integers(-100, 100, shape).astype(tensor.dtype).tofile(images)
        size = images.stat().st_size // args.images
        one = folder / "one"
        one.write_bytes(images.read_bytes()[:size])
        with emulated_process() as address:
            spec = AndroidSpec(
                transport="adb_tcp",
                address=address,
                runner=RunnerSpec(path=str(packed_runner())),
            )
            target = open_target("phone", spec, folder / "logs", Attendant())
            try:
                target.install()
                return measured(target, artifact, Examples(images, size, args.images), one)
            finally:
                target.close()


def measured(target: AndroidTarget, artifact: Artifact, examples: Examples, one: Path) -> int:
    runner, each = packed_runner(), output_bytes(artifact)
    done, total, own = 0, 0.0, list[float]()
    while done < examples.images:
        began = time.perf_counter()
        raw = target.answer(CASE, artifact, examples, done)
        total += time.perf_counter() - began
        done += len(raw) // each
        own += [alone(runner, Path(artifact.path), one, one.parent) for _ in range(3)]
    beside = total - fmean(own) * done
    print(f"{done} images: {total:.1f} s, {total / done:.3f} s each")
    print(f"the tool alone: {fmean(own):.3f} s each ({len(own)} processes, in turns)")
    print(f"beside it: {beside / done:+.3f} s each, {beside:+.1f} s in all")
    allowed = EACH_S * done + WHOLE_S
    print(f"allowed: {EACH_S} s each and {WHOLE_S:g} s: {allowed:.0f} s in all")
    return 0 if beside <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
