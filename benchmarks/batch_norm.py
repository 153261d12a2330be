"""What batch normalization as one operation saves: `python benchmarks/batch_norm.py`.

Each network that is trained with batch normalization takes steps with Keras's own, with that of
`harness/artifacts/child/batch_norm.py`, and with Keras's own again, in turns. Prints processor time
per step, its ratio, and the ratio of the two copies of Keras's own, which shows the noise.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from harness.artifacts.child import batch_norm, networks
from harness.artifacts.child.protocol import Network
from harness.project import config

NETWORKS: dict[str, dict[str, Any]] = {
    "mobilenet": {"alpha": 0.35},
    "vgg16": {"width": 0.125, "batch_norm": True},
    "student": {},
}
WAYS: dict[str, Callable[[], Any]] = {
    "keras": contextlib.nullcontext,
    "one": batch_norm.in_one_operation,
    "keras again": contextlib.nullcontext,
}
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    print("network      Keras's own   one operation   ratio   copies of Keras's own")
    for name, options in NETWORKS.items():
        steps = {way: step(name, options, context) for way, context in WAYS.items()}
        spent: dict[str, list[float]] = {way: [] for way in steps}
        for _ in range(args.rounds):
            for way, take in steps.items():
                began = time.process_time()
                take()
                spent[way].append(time.process_time() - began)
        keras, one, again = (1000 * median(spent[way]) for way in WAYS)
        print(f"{name:12} {keras:8.0f} ms {one:12.0f} ms {keras / one:7.2f} {keras / again:23.2f}")


def step(name: str, options: dict[str, Any], way: Callable[[], Any]) -> Callable[[], None]:
    """One step of training, after the first, which takes seconds to prepare."""
    file = config.load_project(None).models_dir / f"{name}.py"
    model = networks.make(Network(model_file=str(file), options=options))
    rng = np.random.default_rng(0)
    images = rng.random((BATCH, *model.input_shape[1:]), dtype=np.float32)
    labels = (np.arange(BATCH) % 2).astype(np.float32)
    model.compile("adam", "binary_crossentropy")

    def take() -> None:
        with way():
            model.train_on_batch(images, labels[:, None])

    take()
    return take


if __name__ == "__main__":
    main()
