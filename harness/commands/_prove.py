"""`doctor --prove`: every measurement that no real phone has proved yet, in one file."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec
from harness.core.text import clean_lines

MODEL = Path(__file__).parents[1] / "devices/android/probe.tflite"
IMAGES = "images.npz"
MOST = 40_000  # characters of what a run logged
TIMEOUT_S = 3600.0
APP = "-app"  # ends the name of the same phone with the benchmark app for its runner


class Step(NamedTuple):
    """One bench. With `app` it also measures in the benchmark app."""

    what: str
    options: tuple[str, ...]
    app: bool = False


_IMAGES = (
    "--data",
    IMAGES,
    "--pixels",
    "0..255",
    "--accuracy",
    "device",
    "--accuracy-images",
    "10",
)
STEPS = (
    Step("memory, a profile, answers beside this machine's", ("--quick", "--profile", "--parity")),
    Step("several threads, and a cadence", ("--quick", "--threads", "1,2", "--cadence", "50ms")),
    Step("GPU in float16 and float32", ("--quick", "--delegate", "cpu,gpu,gpu-fp32")),
    Step("NPU", ("--quick", "--delegate", "npu")),
    Step(
        "test images answered there",
        (*_IMAGES, "--launches", "1", "--delegate", "cpu,gpu,gpu-fp32"),
    ),
    Step("starts with caches", ("--quick", "--start", "cold,cached", "--delegate", "cpu,gpu")),
    Step("groups of cores", ("--quick", "--affinity", "big,little,all")),
    Step("heat and energy", ("--sustained", "2m")),
    Step("Google's benchmark app", ("--quick",), app=True),
)


def runs(name: str, spec: AndroidSpec, attendant: Attendant) -> list[dict[str, Any]]:
    """Run each step's bench and return its results: its command, exit status, what it said, its
    cases, and what the runner printed. A step that is refused or fails is reported like any
    other."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copyfile(MODEL, folder / MODEL.name)
        _write_images(folder / IMAGES)
        _write_devices(folder / "devices.yaml", name, spec)
        made = []
        for number, step in enumerate(STEPS, 1):
            attendant.say(f"proof {number} of {len(STEPS)}: {step.what}")
            made.append(_run(step, name, folder, attendant))
        return made


def _write_images(path: Path) -> None:
    """Noise of two brightnesses: what is looked at is whether both sides answer alike."""
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    grey = 60 + 90 * labels.reshape(-1, 1, 1) + rng.integers(0, 80, (len(labels), 32, 32))
    np.savez(path, x=grey.astype(np.uint8), y=labels)


def _write_devices(path: Path, name: str, spec: AndroidSpec) -> None:
    import yaml

    replace = msgspec.structs.replace
    app = replace(spec.runner, tool="benchmark_app", dialect="A")
    entries = {name: spec, name + APP: replace(spec, runner=app, affinity="all", accuracy="host")}
    path.write_text(yaml.safe_dump({"devices": msgspec.to_builtins(entries)}), "utf-8")


def _run(step: Step, name: str, folder: Path, attendant: Attendant) -> dict[str, Any]:
    from harness.system import process

    shutil.rmtree(folder / "reports", ignore_errors=True)
    log = folder / "said.log"
    log.unlink(missing_ok=True)
    words = ("bench", MODEL.name, "--device", name + APP * step.app, *step.options)
    files = {file: str(folder / file) for file in (MODEL.name, IMAGES)}
    placed = [files.get(word, word) for word in words]
    reports = str(folder / "reports")
    finished = process.run(
        process.module("harness", *placed, "--project", str(folder), "--out", reports),
        stdin=b"",
        log=log,
        timeout_s=TIMEOUT_S,
        env=process.python_environment(COLUMNS="120"),
        attendant=attendant,
    )
    said = clean_lines(log.read_bytes()) if log.exists() else ""
    return {
        "what": step.what,
        "command": " ".join(words),
        "status": finished.returncode,
        "said": said.replace(str(folder), ".")[-MOST:],
        "cases": [c for report in folder.glob("reports/*/report.json") for c in _cases(report)],
        "printed": "\n".join(
            clean_lines(path.read_bytes())[-MOST:]
            for path in sorted(folder.glob("reports/*/logs/*.log"))
        ),
    }


def _cases(report: Path) -> list[dict[str, Any]]:
    """What is known of each case, without its launches."""
    keys = ("runtime", "delegate", "threads", "affinity", "status", "failure", "findings")
    found = []
    for case in json.loads(report.read_bytes())["cases"]:
        points = {n: m["point"] for n, m in case["metrics"].items() if m["point"] is not None}
        reasons = {n: m["absent_because"] for n, m in case["metrics"].items() if m["point"] is None}
        found.append({k: case.get(k) for k in keys} | {"metrics": points, "absent": reasons})
    return found
