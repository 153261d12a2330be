"""What transfer learning with a frozen trunk costs: `python benchmarks/transfer.py`.

From an empty cache, on 1,000 demo images: the pass of EfficientNet-Lite0's trunk over all of them
with the first head, then a second head (another cut) from the cached features, and the peak memory
of both. Then all again in another empty cache and in another order, to compare the artifacts byte
by byte. Exit status 1 if a pass takes over 60 s, a second head over 10 s, a training over 2 GiB,
or a byte differs; the seconds mean something on an idle machine only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from harness.artifacts.builder import build
from harness.artifacts.cache import TRAINING
from harness.artifacts.child.protocol import Trained
from harness.core import units
from harness.core.specs import VariantsFile, VariantSpec
from harness.core.types import Artifact
from harness.data.demo_set import DemoSet
from harness.project import config

FIRST, SECOND = "lite0-cut-gray-int8", "second"
SAME = ("lite0-int8", "lite0-gray-int8", FIRST)
PASS_S, HEAD_S, PEAK_BYTES = 60, 10, 2 * 2**30


def main() -> int:
    project = config.load_project(None).variants
    cut = VariantSpec(model="efficientnet_lite", options={"gray": True, "cut": "block_9"})
    project = msgspec.structs.replace(project, variants={**project.variants, SECOND: cut})
    wrong = []
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first = built([FIRST], project, Path(one))
        (trained,) = notes(Path(one)).values()
        seconds = {"trunk over 1,000 images and a head for each cut": (trained, PASS_S)}
        before = set(notes(Path(one)))
        built([SECOND], project, Path(one))
        (again,) = (note for key, note in notes(Path(one)).items() if key not in before)
        seconds["another head, from the cache"] = again, HEAD_S
        for what, (note, limit_s) in seconds.items():
            peak = note.peak_rss_bytes
            print(
                f"{what}: {units.duration(note.wall_s * 1e9)} "
                f"({units.duration(note.cpu_s * 1e9)} of processor time), peak {units.memory(peak)}"
            )
            if note.wall_s > limit_s:
                wrong.append(f"{what} took over {limit_s} s")
            if peak is not None and peak > PEAK_BYTES:
                wrong.append(f"{what} took over 2 GiB")
        first |= built([name for name in SAME if name != FIRST], project, Path(one))
        reverse = built(SAME[::-1], project, Path(other))
        for name in SAME:
            same = first[name].sha256 == reverse[name].sha256
            print(f"{name}: {first[name].sha256[:16]} and {reverse[name].sha256[:16]}")
            wrong += [] if same else [f"{name} has other bytes from another empty cache"]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def built(
    names: list[str] | tuple[str, ...], project: VariantsFile, cache: Path
) -> dict[str, Artifact]:
    """The artifacts, from this cache; ends the benchmark if one cannot be built."""
    done = build(
        names,
        project,
        models_dir=config.load_project(None).models_dir,
        cache_dir=cache,
        data=DemoSet(cache, 0, {"train": 600, "validation": 400, "test": 2}),
        progress=lambda progress: print(f"{progress.variant}: {progress.stage}", file=sys.stderr),
    )
    if done.failures:
        sys.exit("\n".join(f"{name}: {f.message}" for name, f in done.failures.items()))
    return done.artifacts


def notes(cache: Path) -> dict[str, Trained]:
    """What is noted beside the trained networks of this cache, by key."""
    return {
        path.parent.name: msgspec.json.decode(path.read_bytes(), type=Trained)
        for path in cache.glob(f"trained/*/{TRAINING}")
    }


if __name__ == "__main__":
    sys.exit(main())
