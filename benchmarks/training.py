"""What training costs, and what distillation and channel pruning gain:
`python benchmarks/training.py [--seeds 0,1,2]`.

First a row per training: time, processor time and peak memory, from the notes beside the trained
networks. A training that is already in the cache is not repeated; its note says what it took then.

Then each small network against its control, on the same test images: the student against one that
learned from the labels alone, and the slim VGG16 against the same network trained from nothing for
as many epochs as parent and child together, with the batch normalization that training it from
nothing needs. Test images of all seeds are counted together; the difference has Newcombe's
interval, and McNemar's test pairs the images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

import msgspec

from harness.artifacts.builder import build
from harness.artifacts.cache import TRAINING, TrainedCache
from harness.artifacts.child.protocol import Trained
from harness.artifacts.material import Material
from harness.artifacts.network_plans import NetworkPlans
from harness.core import units
from harness.core.build_progress import BuildProgress
from harness.core.specs import TrainingSpec, VariantsFile, VariantSpec
from harness.core.types import Artifact
from harness.data.dataset import Dataset
from harness.data.opening import open_dataset
from harness.measure import evaluate
from harness.project import config
from harness.stats import accuracy
from harness.system import files

ALONE = "student-alone"
NEW = "vgg16-slim-new"
PAIRS = {"student": ALONE, "vgg16-slim": NEW}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0")
    args = parser.parse_args()
    project = with_controls(config.load_project(None).variants)
    names = [n for n, s in project.variants.items() if s.recipe in ("float32", "pruned")]
    right: dict[str, list[bool]] = {}
    for seed in map(int, args.seeds.split(",")):
        data = open_dataset("demo", files.cache_dir(), seed=seed)
        artifacts = built(names, project, data, seed)
        costs(artifacts, project, data, seed)
        for evaluation in evaluate.evaluate(artifacts, data, cache=files.cache_dir()):
            right.setdefault(evaluation.variant, []).extend(evaluation.right)
    print("\nnetwork            accuracy             without              difference")
    for name, control in PAIRS.items():
        pair = accuracy.paired(right[name], right[control])
        gain = pair.difference
        own, other = (units.share(accuracy.accuracy(right[n])) for n in (name, control))
        print(
            f"{name:18} {own:20} {other:20} {gain.point * 100:+.1f} ({gain.ci_low * 100:+.1f} to "
            f"{gain.ci_high * 100:+.1f}) points, n = {gain.n}, McNemar p "
            f"{units.p_value(pair.p)}"
        )
    return 0


def built(names: list[str], project: VariantsFile, data: Dataset, seed: int) -> dict[str, Artifact]:
    """The artifacts, trained on `data`; ends the benchmark if one cannot be built."""
    done = build(
        names,
        project,
        models_dir=config.load_project(None).models_dir,
        cache_dir=files.cache_dir(),
        data=data,
        seed=seed,
        progress=say,
    )
    if done.failures:
        sys.exit("\n".join(f"{name}: {f.message}" for name, f in done.failures.items()))
    return done.artifacts


def costs(
    artifacts: Mapping[str, Artifact], project: VariantsFile, data: Dataset, seed: int
) -> None:
    """A row per training, under the variant that wanted it first."""
    cache = TrainedCache(files.cache_dir())
    models_dir = config.load_project(None).models_dir
    material = Material(data, files.cache_dir())
    plans = NetworkPlans(project, models_dir, cache=cache, material=material, seed=seed)
    print(f"\nseed {seed:<13} {'time':>9} {'processor':>9} {'peak RSS':>10}  epochs")
    seen = set()
    for name in artifacts:
        for training in [t for need in plans.of(name).needs for t in need.all]:
            if training.key in seen:
                continue
            seen.add(training.key)
            text = (cache.folder(training.key) / TRAINING).read_bytes()
            noted = msgspec.json.decode(text, type=Trained)
            print(
                f"{name:18} {units.duration(noted.wall_s * 1e9):>9} "
                f"{units.duration(noted.cpu_s * 1e9):>9} "
                f"{units.memory(noted.peak_rss_bytes):>10}  "
                f"{len(noted.curve)} ({noted.curve[-1].phase})"
            )


def with_controls(project: VariantsFile) -> VariantsFile:
    """The project and two variants to compare with: no teacher, and no parent."""
    slim, parent = project.variants["vgg16-slim"], project.training["vgg16"]
    assert slim.training is not None
    alone = msgspec.structs.replace(project.training["student"], teacher=())
    new = TrainingSpec(
        epochs=parent.epochs + slim.training.epochs,
        learning_rate=parent.learning_rate,
        flips=parent.flips,
    )
    controls = {
        ALONE: VariantSpec(model="student", training=alone),
        NEW: msgspec.structs.replace(
            slim, options={**slim.options, "batch_norm": True}, training=new, weights="random"
        ),
    }
    return msgspec.structs.replace(project, variants={**project.variants, **controls})


def say(progress: BuildProgress) -> None:
    print(f"{progress.variant}: {progress.stage}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
