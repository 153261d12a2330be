"""Records the terminal sessions of three pages: runs the commands, in a folder of its own and with
no phone connected, and puts what they print in place of what was there.

    .venv/bin/python docs/session.py [emulated-device] [phone-session] [lab]

The second takes a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests/data/models"
HEAD = "## A recorded session\n"
# What answers at the shipped address depends on the network.
LEFT_OUT = "pixel-wifi"


class Session(NamedTuple):
    """The commands of a page, after `python -m harness`; `said` stands above them. Those that end
    with & run on while the next ones do."""

    models: tuple[str, ...]
    commands: tuple[str, ...]
    said: str
    page: str


SESSIONS = {
    "emulated-device": Session(
        ("tiny_float32.tflite", "tiny_int8.tflite"),
        (
            "devices",
            "doctor --device host,emulated",
            "bench tiny_float32.tflite tiny_int8.tflite --device emulated --quick",
            "bench tiny_float32.tflite --device pixel",
        ),
        """
Recorded by `docs/session.py`, with two small files of the tests and no phone connected, on a busy
machine. The lines of `pixel-wifi` are left out, because they depend on what answers at its address.
""",
        "docs/explanation/emulated-device.md",
    ),
    "phone-session": Session(
        ("s01_f32.tflite", "tiny_float32.tflite"),
        (
            "bench s01_f32.tflite --device phone --launches 5 --iterations 20 --data faces.npz "
            "--pixels 0..1 --delegate cpu,gpu,gpu-fp32 --accuracy device --accuracy-images 40 "
            "--html delegates.html",
            "bench tiny_float32.tflite --device phone --delegate npu --quick",
            "bench tiny_float32.tflite --device phone --start cold,cached --quick",
            "bench tiny_float32.tflite --device phone --affinity big,mid,little --quick",
            "bench tiny_float32.tflite --device app --quick",
            "bench tiny_float32.tflite --device calm --sustained 5m",
            "doctor --device phone --prove",
        ),
        """
Recorded by `docs/session.py`, with small files of the tests, on a busy machine; the phones are
emulated. The folder has 200 pictures of faces and of other things (scikit-image's `lfw_subset`),
and this devices.yaml. The GPU of `phone` answers wrongly unless it computes in float32; `calm`
sleeps for 8 ms instead of computing:

    devices:
      phone:
        kind: android
        transport: emulated
        faults: [accelerator=all, accelerator_answers=fp16]
        runner: {device_path: /system/bin/benchmark_model}
      app:
        kind: android
        transport: emulated
        runner: {tool: benchmark_app, app: benchmark.apk, device_path: /system/bin/benchmark_model}
      calm:
        kind: android
        transport: emulated
        profile: calm.yaml
        runner: {device_path: /system/bin/benchmark_model}
""",
        "docs/explanation/phone-session.md",
    ),
    "lab": Session(
        ("tiny_float32.tflite",),
        (
            "emulate --port 5600 &",
            "emulate --port 5601 --profile old &",
            "lab start tcp://127.0.0.1:8786 &",
            "lab join tcp://127.0.0.1:8786 --name bench1 &",
            "lab status tcp://127.0.0.1:8786",
            "bench tiny_float32.tflite --lab tcp://127.0.0.1:8786 --device all --quick",
            "lab stop tcp://127.0.0.1:8786",
        ),
        """
Recorded by `docs/session.py`, all on one machine, with a small file of the tests and two emulated
phones. The devices.yaml of the host:

    devices:
      flagship:
        kind: android
        transport: adb_tcp
        address: "127.0.0.1:5600"
        runner: {device_path: /system/bin/benchmark_model}
      cheap:
        kind: android
        transport: adb_tcp
        address: "127.0.0.1:5601"
        runner: {device_path: /system/bin/benchmark_model}
""",
        "docs/how-to/lab.md",
    ),
}
BACKGROUND = " &"
READY = ("adb connect", "lab is at", "joined the lab")  # what they say once others can go on
READY_S = 120.0


def main() -> None:
    """Write the pages anew."""
    for name in sys.argv[1:] or SESSIONS:
        session = SESSIONS[name]
        page = ROOT / session.page
        with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
            folder = Path(place)
            for model in session.models:
                shutil.copy(MODELS / model, folder)
            if "    devices:" in session.said:
                entries = session.said[session.said.index("    devices:") :]
                text = entries.replace("\n    ", "\n").strip() + "\n"
                (folder / "devices.yaml").write_text(text)
            if name == "phone-session":
                _furnish(folder)
            told = "\n".join(_recorded(folder, command, stack) for command in session.commands)
        before, _, _ = page.read_text(encoding="utf-8").partition(HEAD)
        page.write_text(f"{before}{HEAD}{session.said}\n{told}", encoding="utf-8")


def _furnish(folder: Path) -> None:
    import numpy as np
    from skimage.data import lfw_subset

    grey = (lfw_subset() * 255).round().astype(np.uint8)
    np.savez(folder / "faces.npz", x=grey, y=np.repeat([0, 1], 100))
    (folder / "benchmark.apk").write_bytes(b"PK the emulated phone installs any file")
    pixel = (ROOT / "harness/emulator/profiles/pixel.yaml").read_text("utf-8")
    (folder / "calm.yaml").write_text(f"{pixel}fixed_latency_us: 8000\n")


def _recorded(folder: Path, command: str, stack: contextlib.ExitStack) -> str:
    with tempfile.NamedTemporaryFile("w", dir=folder) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *command.removesuffix(BACKGROUND).split()],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "COLUMNS": "100",
                "ANDROID_USER_HOME": str(folder / "android"),
                "MOBILE_BENCH_CACHE": str(folder / "cache"),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        if command.endswith(BACKGROUND):
            stack.callback(process.wait)
            stack.callback(process.terminate)
            said = _ready(Path(output.name))
        else:
            process.wait()
            said = Path(output.name).read_text(encoding="utf-8")
    lines, skipping = [f"$ python -m harness {command}"], False
    for line in said.splitlines():
        skipping = line.startswith(LEFT_OUT) or (skipping and line.startswith(" "))
        if not skipping:
            lines.append(line)
    if not command.endswith(BACKGROUND):
        lines.append(f"[exit status {process.returncode}]")
    return "".join(f"    {line}".rstrip() + "\n" for line in lines)


def _ready(output: Path) -> str:
    end = time.monotonic() + READY_S
    while not any(words in (said := output.read_text(encoding="utf-8")) for words in READY):
        if time.monotonic() > end:
            raise TimeoutError(said)
        time.sleep(0.2)
    return said


if __name__ == "__main__":
    main()
