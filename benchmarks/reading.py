"""How long do pictures take to be read and split, and how much memory?

    python -m benchmarks.reading [--pictures 5000] [--classes 10] [--size 320x240]

Makes two folders of JPEG pictures in colour, one with a fifth of the pictures of the
other, and opens each in a fresh process with an empty cache, as `bench --data` does: read, hashed,
compared with one another, split; then each split is written to the cache and read in place. Prints
seconds, processor seconds of all processes, those that Pillow alone needs to decode and resize as
many in the same run, and the largest resident memory that is the process's own (not files mapped
from the cache). Exits 1 if opening 5,000 takes more than 20 s, counted as
processor seconds per processor where other work keeps them busy, unless Pillow alone would need
two thirds of that here; or if five times the pictures take more than 64 MiB more memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.paths import ROOT

LIMIT_S = 20.0
MOST_TIMES_PILLOW = 1.5
MORE_BYTES = 64 * 2**20
FIRST = 5000


def make(folder: Path, classes: int, pictures: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for number in range(pictures):
        label = folder / f"class{number % classes}"
        label.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        small.resize(size, Image.Resampling.BICUBIC).save(label / f"{number}.jpg", quality=85)


def anonymous_bytes() -> int:
    """Memory of this process that is not a file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("RssAnon is missing from /proc/self/status")


def child(folder: Path, cache: Path) -> None:
    """Opens the folder and prints what it cost."""
    from harness.data.dataset import SPLITS
    from harness.data.opening import open_dataset

    largest, ended = [anonymous_bytes()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            largest[0] = max(largest[0], anonymous_bytes())

    def processor_s() -> float:
        spent = [resource.getrusage(who) for who in _WHO]
        return sum(one.ru_utime + one.ru_stime for one in spent)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, before = time.perf_counter(), processor_s()
    data = open_dataset(str(folder), cache)
    opened_s, opened_cpu_s = time.perf_counter() - began, processor_s() - before
    total = 0
    for split in SPLITS:
        images, labels = data.arrays(split)
        total += sum(1 for start in range(0, len(labels), 32) if images[start : start + 32].any())
    ended.set()
    watcher.join()
    paths = sorted(folder.glob("*/*.jpg"))[::10]
    before = processor_s()
    for path in paths:
        with Image.open(path) as image:
            image.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
    bare_cpu_s = (processor_s() - before) * data.summary.total / len(paths)
    said = {
        "bare_cpu_s": bare_cpu_s,
        "opened_s": opened_s,
        "opened_cpu_s": opened_cpu_s,
        "bytes": largest[0],
        "images": data.summary.total,
        "batches": total,
    }
    sys.stdout.write(json.dumps(said))


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=FIRST)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", default="320x240")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    processors = len(os.sched_getaffinity(0))
    found = []
    print(f"{args.classes} classes, pictures of {args.size}, {processors} processors")
    print(f"{'pictures':>8} {'opened s':>9} {'processor s':>12} {'Pillow s':>9} {'MiB':>6}")
    with tempfile.TemporaryDirectory() as temporary:
        for count in (args.pictures // 5, args.pictures):
            folder = Path(temporary) / str(count)
            make(folder, args.classes, count, (width, height))
            code = "import sys; from pathlib import Path; from benchmarks.reading import child; "
            code += "child(Path(sys.argv[1]), Path(sys.argv[2]))"
            command = [sys.executable, "-c", code, str(folder), str(folder) + "-cache"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            one = json.loads(done.stdout)
            found.append(one)
            print(
                f"{one['images']:8,} {one['opened_s']:9.1f} {one['opened_cpu_s']:12.1f} "
                f"{one['bare_cpu_s']:9.1f} {one['bytes'] / 2**20:6.0f}",
                flush=True,
            )
    more = found[1]["bytes"] - found[0]["bytes"]
    spent = min(found[1]["opened_s"], found[1]["opened_cpu_s"] / processors)
    limit = LIMIT_S * args.pictures / FIRST
    print(f"{spent:.1f} s of {limit:.0f} s; {more / 2**20:+.0f} MiB for five times the pictures")
    ratio = found[1]["opened_cpu_s"] / found[1]["bare_cpu_s"]
    print(f"{ratio:.2f} times the processor time of Pillow alone")
    slow = spent > limit and ratio > MOST_TIMES_PILLOW
    return 1 if slow or more > MORE_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
