"""Do several phones really run side by side?

One emulated phone against eight, the same launches on each, with a runner that sleeps instead of
computing, so that this machine's processors are not what is measured. Prints the ratio of wall
times eight / one over rounds in random order. The whole interval must be at most 1.3.

    python benchmarks/parallel.py [--phones 8] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from harness.stats.ratio import paired

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
MOST = 1.3
LATENCY_US = 25_000


def project(folder: Path, phones: int) -> None:
    """devices.yaml with so many phones that take the same time for each inference."""
    profile = yaml.safe_load((ROOT / "harness/emulator/profiles/pixel.yaml").read_text())
    sleeper = folder / "sleeper.yaml"
    sleeper.write_text(yaml.safe_dump({**profile, "fixed_latency_us": LATENCY_US}))
    phone = {
        "kind": "android",
        "transport": "emulated",
        "profile": str(sleeper),
        "runner": {"device_path": "/system/bin/benchmark_model"},
    }
    devices = {f"phone{n}": phone for n in range(phones)}
    (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": devices}))


def seconds(devices: str, folder: Path) -> float:
    command = [sys.executable, "-m", "harness", "bench", str(MODEL), "--device", devices]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--launches", "5", "--iterations", "100"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phones", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rng = random.Random(0)
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder, args.phones)
        for _ in range(args.rounds):
            sides = ["phone0", "all"]
            rng.shuffle(sides)
            times = {side: seconds(side, folder) for side in sides}
            pairs.append((times["phone0"], times["all"]))
    for one, many in pairs:
        print(f"one phone {one:.1f} s, {args.phones} phones {many:.1f} s")
    ratio = paired(pairs)
    if ratio is None:
        print("too few rounds for an interval")
        return 1
    e = ratio.estimate()
    print(f"{args.phones} / one {e.point:.2f} [{e.ci_low:.2f}, {e.ci_high:.2f}] ({e.n} rounds)")
    return 0 if e.ci_high <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
