"""What the harness costs beside the launches themselves.

Runs a warm `bench` (artifacts in the cache) as a user does and prints
- its wall time over the time spent inside launches, at most 1.15,
- the time from the command to the first launch, and the peak RSS of the harness process,
- the time of `--help` as a multiple of bare Python's, interleaved.

    python benchmarks/overhead.py [--repeat 5] [VARIANT ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from statistics import median

from harness.results import store
from harness.stats.ratio import paired

PYTHON = [sys.executable, "-m", "harness"]
DEFAULTS = [
    *("scratch", "vgg16", "mobilenet-int8", "pruned"),
    *("lite0-gray-int8", "lite0-cut-gray-int8"),
]


def peak_rss_bytes(process: subprocess.Popen[bytes]) -> int:
    """The largest VmHWM seen until the process ends; its children are not counted."""
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            break
        time.sleep(0.05)
    return peak


def bench(what: list[str]) -> tuple[float, float, float, int]:
    """(wall s, s inside launches, s to the first launch, peak RSS) of one warm run."""
    with tempfile.TemporaryDirectory() as out:
        began_at, began = time.time(), time.monotonic()
        process = subprocess.Popen(
            [*PYTHON, "bench", *what, "--launches", "7", "--untrained", "--out", out],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peaks: list[int] = []
        watcher = threading.Thread(target=lambda: peaks.append(peak_rss_bytes(process)))
        watcher.start()
        process.wait()
        wall = time.monotonic() - began
        watcher.join()
        report = store.read_report(store.find("latest", Path(out)))
    launches = [x for case in report.cases for x in case.launches]
    inside = sum(x.wall_ns for x in launches) / 1e9
    first = min(datetime.fromisoformat(x.started_at).timestamp() for x in launches) - began_at
    return wall, inside, first, peaks[0]


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    """Print the figures; exit status 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=DEFAULTS)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    subprocess.run(
        [*PYTHON, "build", "--untrained", *args.what], check=True, stdout=subprocess.DEVNULL
    )
    runs = [bench(args.what) for _ in range(args.repeat)]
    overhead = median(wall / inside for wall, inside, _, _ in runs)
    first = median(first for _, _, first, _ in runs)
    peak = max(peak for *_, peak in runs)
    print(f"wall / inside launches: {overhead:.3f} (median of {len(runs)} runs; at most 1.15)")
    print(f"first launch after: {first:.2f} s (median; within 3 s)")
    print(f"harness process: {peak / 2**20:.0f} MiB peak RSS (most; under 200 MiB)")
    pairs = [
        (seconds([sys.executable, "-c", "pass"]), seconds([*PYTHON, "--help"])) for _ in range(25)
    ]
    ratio = paired(pairs)
    assert ratio is not None
    e = ratio.estimate()
    print(f"--help / bare Python: {e.point:.1f} [{e.ci_low:.1f}, {e.ci_high:.1f}] ({e.n} pairs)")
    print(f"on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    return 0 if overhead <= 1.15 and first <= 3 and peak < 200 * 2**20 else 1


if __name__ == "__main__":
    sys.exit(main())
