"""Records the terminal sessions of two pages: runs the commands, in a folder of its own and with no
phone connected, and puts what they print in place of what was there.

    .venv/bin/python docs/session.py [emulated-device] [phone-session]

The second takes a quarter of an hour.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests/data/models"
HEAD = "## A recorded session\n"
# What answers at the shipped address depends on the network.
LEFT_OUT = "pixel-wifi"


class Session(NamedTuple):
    """The commands of a page, after `python -m harness`; `said` stands above them."""

    models: tuple[str, ...]
    commands: tuple[str, ...]
    said: str


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
By `docs/session.py`, with two small files of the tests and no phone connected, on a busy machine.
The lines of `pixel-wifi` are left out: what answers at its address depends on the network.
""",
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
By `docs/session.py`, with small files of the tests, on a busy machine; the phones are emulated.
The folder has 200 pictures of faces and of other things (scikit-image's `lfw_subset`), and this
devices.yaml. The GPU of `phone` answers wrongly unless it computes in float32; `calm` sleeps for
8 ms instead of computing:

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
    ),
}


def main() -> None:
    """Write the pages anew."""
    for name in sys.argv[1:] or SESSIONS:
        session, page = SESSIONS[name], ROOT / f"docs/explanation/{name}.md"
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for model in session.models:
                shutil.copy(MODELS / model, folder)
            if name == "phone-session":
                _furnish(folder, session.said)
            told = "\n".join(_recorded(folder, command) for command in session.commands)
        before, _, _ = page.read_text(encoding="utf-8").partition(HEAD)
        page.write_text(f"{before}{HEAD}{session.said}\n{told}", encoding="utf-8")


def _furnish(folder: Path, said: str) -> None:
    import numpy as np
    from skimage.data import lfw_subset

    entries = said[said.index("    devices:") :]
    (folder / "devices.yaml").write_text(entries.replace("\n    ", "\n").strip() + "\n")
    grey = (lfw_subset() * 255).round().astype(np.uint8)
    np.savez(folder / "faces.npz", x=grey, y=np.repeat([0, 1], 100))
    (folder / "benchmark.apk").write_bytes(b"PK the emulated phone installs any file")
    pixel = (ROOT / "harness/emulator/profiles/pixel.yaml").read_text("utf-8")
    (folder / "calm.yaml").write_text(f"{pixel}fixed_latency_us: 8000\n")


def _recorded(folder: Path, command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command.split()],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
            "ANDROID_USER_HOME": str(folder / "android"),
            "MOBILE_BENCH_CACHE": str(folder / "cache"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines, skipping = [f"$ python -m harness {command}"], False
    for line in done.stdout.splitlines():
        skipping = line.startswith(LEFT_OUT) or (skipping and line.startswith(" "))
        if not skipping:
            lines.append(line)
    lines.append(f"[exit status {done.returncode}]")
    return "".join(f"    {line}".rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    main()
