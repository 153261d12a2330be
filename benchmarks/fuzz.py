"""Does anything that somebody brings make the harness die, hang or print a traceback?

    python -m benchmarks.fuzz [--models 10000] [--runs 20] [--folders 200] [--seed 0]

Three parts, each input made from a seed, so that any of them can be made again:

- models: .tflite files with bytes flipped, cut off or put in, extreme numbers, or indices, shapes
  and types that do not fit are read as `bench` reads them. Each is described or refused in one
  line, in bounded time.
- runs: some of those that could be read are measured by `bench` beside a good file, ten at a time.
  Each run ends by itself, without a traceback, and has measured the good file.
- folders: folders of damaged pictures, odd names, links. Each is opened, or refused in one line.

Prints what became of them, and exits 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from harness.artifacts.tflite.inspect import inspect_cached
from harness.core.errors import HarnessError
from harness.data.opening import open_dataset
from tests import damage
from tests.paths import DATA, ROOT

EACH_S = 10.0  # of processor time, to read one file
FOLDER_S = 600.0
RUN_S = 1800.0
AT_ONCE = 10
GOOD = DATA / "models" / "s01_f32.tflite"


class TooLong(Exception):
    """An input took longer than it may."""


@contextlib.contextmanager
def within(seconds: float, timer: int = signal.ITIMER_REAL) -> Iterator[None]:
    """Raises TooLong in the middle of what takes longer, by the clock or, with ITIMER_PROF, in this
    process's own processor time, which other work on the machine does not stretch."""

    alarm = signal.SIGPROF if timer == signal.ITIMER_PROF else signal.SIGALRM

    def late(*_: object) -> None:
        raise TooLong(f"longer than {seconds:g} s")

    before = signal.signal(alarm, late)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(alarm, before)


def one_line(error: HarnessError) -> str | None:
    """What is wrong with a refusal."""
    if not error.message.strip() or "\n" in str(error):
        return f"not one line: {error!s:.200}"
    return None


def models(count: int, seed: int, folder: Path) -> tuple[list[str], list[int]]:
    """(what went wrong, the seeds of the files that could be read)."""
    wrong: list[str] = []
    readable: list[int] = []
    became: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    path = folder / "fuzzed.tflite"
    began = time.process_time()
    for number in range(seed, seed + count):
        what, data = damage.model(number)
        path.write_bytes(data)
        started = time.process_time()
        kind = what.split()[0]
        try:
            with within(EACH_S, signal.ITIMER_PROF):
                inspect_cached(path, folder / "cache", variant="fuzzed")
        except HarnessError as error:
            became[f"{kind}: refused"] += 1
            if reason := one_line(error):
                wrong.append(f"model {number} ({what}): {reason}")
        except Exception:
            wrong.append(f"model {number} ({what}):\n{traceback.format_exc(limit=-3)}")
        else:
            became[f"{kind}: read"] += 1
            readable.append(number)
        slowest = max(slowest, time.process_time() - started)
    spent = time.process_time() - began
    print(
        f"{count:,} damaged .tflite files in {spent:.1f} s of processor time, the slowest in "
        f"{slowest * 1e3:.0f} ms",
        flush=True,
    )
    for name, many in sorted(became.items()):
        print(f"  {name:20} {many:6,}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of the process: {peak:.0f} MiB")
    return wrong, readable


def runs(count: int, readable: list[int], folder: Path) -> list[str]:
    wrong: list[str] = []
    became: collections.Counter[str] = collections.Counter()
    step = max(1, len(readable) // max(1, count * AT_ONCE))
    chosen = readable[::step][: count * AT_ONCE]
    for start in range(0, len(chosen), AT_ONCE):
        files = [GOOD]
        for number in chosen[start : start + AT_ONCE]:
            files.append(folder / f"seed{number}.tflite")
            files[-1].write_bytes(damage.model(number)[1])
        wrong += run(files, folder, became)
    print(f"{len(chosen):,} of those that could be read, measured beside a good file:")
    for name, many in became.most_common():
        print(f"  {many:4}  {name}")
    return wrong


def run(files: list[Path], folder: Path, became: collections.Counter[str]) -> list[str]:
    """Measure `files`, the first of which is good."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "harness", "bench", *map(str, files), "--untrained"]
    command += ["--launches", "1", "--iterations", "1", "--json", str(report)]
    command += ["--out", str(folder / "reports")]
    env = {**os.environ, "MOBILE_BENCH_CACHE": str(folder / "cache")}
    names = ", ".join(path.stem for path in files[1:])
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=RUN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return [f"run of {names}: longer than {RUN_S:g} s"]
    if done.returncode not in (0, 3) or "Traceback" in done.stderr + done.stdout:
        return [f"run of {names}: status {done.returncode}\n{done.stderr[-2000:]}"]
    read = json.loads(report.read_text())
    for case in read["cases"]:
        failure = case["failure"]
        if case["variant"] == GOOD.stem:
            if failure or not case["metrics"]["latency"]["point"]:
                return [f"run of {names}: the good file was not measured: {failure}"]
        else:
            became[f"failed in {failure['stage']}" if failure else case["status"]] += 1
    return []


def folders(count: int, seed: int, folder: Path) -> list[str]:
    wrong: list[str] = []
    became: collections.Counter[str] = collections.Counter()
    refused = slowest = 0.0
    began = time.perf_counter()
    for number in range(seed, seed + count):
        root = folder / f"pictures{number}"
        damage.pictures(root, number)
        started = time.perf_counter()
        try:
            with within(FOLDER_S):
                data = open_dataset(str(root), folder / "image-cache")
                for split in ("train", "validation", "test"):
                    data.arrays(split)
                refused += len(data.summary.refused)
        except HarnessError as error:
            became["refused as a whole"] += 1
            if reason := one_line(error):
                wrong.append(f"folder {number}: {reason}")
        except Exception:
            wrong.append(f"folder {number}:\n{traceback.format_exc(limit=-3)}")
        else:
            became["opened"] += 1
        slowest = max(slowest, time.perf_counter() - started)
    spent = time.perf_counter() - began
    print(f"{count:,} folders of pictures in {spent:.1f} s, the slowest in {slowest:.1f} s")
    for name, many in became.most_common():
        print(f"  {name:20} {many:6,}")
    print(f"  files refused by name in those that were opened: {refused:.0f}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wrong, readable = models(args.models, args.seed, folder)
        wrong += runs(args.runs, readable, folder)
        wrong += folders(args.folders, args.seed, folder)
    for one in wrong:
        print(f"WRONG {one}")
    print("nothing died, hung or printed a traceback" if not wrong else f"{len(wrong)} went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
