"""Records the terminal session in docs/explanation/emulated-device.md: runs the commands, in an
empty folder and with no phone connected, and puts what they print in place of what was there.

    .venv/bin/python docs/session.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanation/emulated-device.md"
HEAD = "## A recorded session\n"
MODELS = ("tiny_float32.tflite", "tiny_int8.tflite")
COMMANDS = (
    "devices",
    "doctor --device host,emulated",
    f"bench {' '.join(MODELS)} --device emulated --quick",
    f"bench {MODELS[0]} --device pixel",
)
# What answers at the shipped address depends on the network.
LEFT_OUT = "pixel-wifi"
SAID = """
By `docs/session.py`, with two small files of the tests and no phone connected, on a busy machine.
The lines of `pixel-wifi` are left out: what answers at its address depends on the network.
"""


def main() -> None:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            shutil.copy(ROOT / "tests/data/models" / name, folder)
        told = "\n".join(_recorded(Path(folder), command) for command in COMMANDS)
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(HEAD)
    PAGE.write_text(f"{before}{HEAD}{SAID}\n{told}", encoding="utf-8")


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
