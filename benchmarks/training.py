"""What training costs, and what distillation and channel pruning gain: `python -m
benchmarks.training [--seed N] [VARIANT ...]`.

Prints time, processor time and peak memory of every training that the variants need, from the
notes beside the trained networks: one that is in the cache already is not repeated, and its note
tells what it took then. `student-alone` is the student without a teacher, `vgg16-slim-new` the slim
network from random weights for as many epochs as the real one is trained on. Accuracy is of the
artifact, on the test split.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from harness import config, files
from harness.build.builder import Progress, build
from harness.build.cache import TRAINING, TrainedCache
from harness.build.material import Material
from harness.build.plans import Plans
from harness.build.request import Trained
from harness.core import units
from harness.core.specs import VariantsFile, VariantSpec
from harness.data.dataset import Dataset, open_dataset

ALONE = "student-alone"
NEW = "vgg16-slim-new"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", help="default: every float32 variant")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    project = config.load_project(None)
    cache = files.cache_dir()
    data = open_dataset("demo", cache, seed=args.seed)
    variants = with_controls(project.variants)
    float32 = [n for n, s in variants.variants.items() if s.recipe in ("float32", "pruned")]
    names = args.variants or float32
    built = build(
        names,
        variants,
        models_dir=project.models_dir,
        cache_dir=cache,
        data=data,
        seed=args.seed,
        progress=say,
    )
    for name, failure in built.failures.items():
        print(f"{name}: {failure.message}")
    plans = Plans(
        variants,
        project.models_dir,
        cache=TrainedCache(cache),
        material=Material(data, cache),
        seed=args.seed,
    )
    print(f"{'variant':16} {'time':>9} {'processor':>9} {'peak RSS':>10}  epochs, test accuracy")
    for name, artifact in built.artifacts.items():
        said = f"{accuracy(artifact.path, data):.3f}"
        trainings = [t for need in plans.of(name).needs for t in need.all]
        for training in dict.fromkeys(trainings):
            noted = msgspec.json.decode(
                (TrainedCache(cache).folder(training.key) / TRAINING).read_bytes(), type=Trained
            )
            peak = noted.peak_rss_bytes
            print(
                f"{name:16} {units.duration(noted.wall_s * 1e9):>9} "
                f"{units.duration(noted.cpu_s * 1e9):>9} "
                f"{'' if peak is None else units.memory(peak):>10}  "
                f"{len(noted.curve)} {noted.curve[-1].phase}, {said}"
            )
    return 1 if built.failures else 0


def with_controls(project: VariantsFile) -> VariantsFile:
    """The project and two variants to compare with: no teacher, and no parent."""
    slim = project.variants["vgg16-slim"]
    assert slim.training is not None
    alone = msgspec.structs.replace(project.training["student"], teacher=None)
    new = msgspec.structs.replace(slim.training, inherit=None)
    controls = {
        ALONE: VariantSpec(model="student", training=alone),
        NEW: msgspec.structs.replace(slim, training=new, weights="random"),
    }
    return msgspec.structs.replace(project, variants={**project.variants, **controls})


def say(progress: Progress) -> None:
    print(f"{progress.variant}: {progress.stage}", file=sys.stderr)


def accuracy(path: str, data: Dataset) -> float:
    """Share of right decisions on the test split; two classes, float32 input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=2)
    interpreter.allocate_tensors()
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    images, labels = data.arrays("test")

    def says(picture: Any) -> int:
        value = picture[None, :, :, None].astype(image["dtype"])
        interpreter.set_tensor(image["index"], value)
        interpreter.invoke()
        said = interpreter.get_tensor(answer["index"])[0]
        return int(said[0] > 0.5) if len(said) == 1 else int(said.argmax())

    right = sum(says(picture) == int(label) for picture, label in zip(images, labels, strict=True))
    return right / len(labels)


if __name__ == "__main__":
    sys.exit(main())
