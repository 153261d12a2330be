"""Searches over spaces whose trials cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.search_front import front
from harness.core.data import SPLITS, DataSummary, Split
from harness.core.search import Candidate, Sampler, SearchHeader, SearchReport, SearchRequest, Trial
from harness.core.specs import SearchSpec, VariantsFile
from harness.search.loop import Stop
from harness.search.space import Space, read_space
from harness.search.study import Asked, Study, Watched

WIDE = """
def build(*, weights=None, seed=0, width=8, depth=2, classes=2):
    raise NotImplementedError
"""
OBJECTIVES = ("accuracy", "size_bytes")

# A model that is trained in seconds.
TINY = """
def build(*, weights=None, seed=0, units=4, classes=2):
    import keras
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 1), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-2)(image)
    x = keras.layers.Conv2D(units, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x))
"""

# No other image has such a row, and no number in any file is like that by chance.
BETRAYING = bytes([251, 3, 249, 5] * 16)


class Betraying:
    """Bright and dark images; those of the test split would leave a trace if anything read them."""

    name = "betraying"
    classes = ("bright", "dark")

    def __init__(self) -> None:
        self.read: list[str] = []

    @property
    def summary(self) -> DataSummary:
        return DataSummary(
            name=self.name,
            counts={name: dict.fromkeys(SPLITS, 20) for name in self.classes},
            split_by="so",
            fingerprints={split: self.fingerprint(split) for split in SPLITS},
        )

    def fingerprint(self, split: Split) -> str:
        return f"betraying {split}"

    def arrays(self, split: Split) -> tuple[Any, Any]:
        self.read.append(split)
        rng, n = np.random.default_rng(len(split)), 40
        labels = np.arange(n) % 2
        images = rng.integers(0, 60, (n, 64, 64)) + np.where(labels, 40, 150)[:, None, None]
        images = images.astype(np.uint8)
        if split == "test":
            images[:, 30] = np.frombuffer(BETRAYING, np.uint8)
        return images, labels.astype(np.int64)

    def colours(self, split: Split) -> None:
        self.read.append(split)


def space(folder: Path, options: Mapping[str, object] | None = None, **more: Any) -> Space:
    """One model of ours with these options."""
    models = folder / "models"
    models.mkdir(exist_ok=True)
    (models / "wide.py").write_text(WIDE)
    options = {"width": {"from": 1, "to": 64}, "depth": [1, 2, 3]} if options is None else options
    spec = SearchSpec(options=dict(options), **{"recipe": "int8", **more})
    return read_space(VariantsFile(variants={}, search={"wide": spec}), models)


def study(
    folder: Path, of: Space | None = None, *, seed: int = 0, sampler: Sampler = "tpe"
) -> Study:
    return Study(folder, of or space(folder), OBJECTIVES, seed=seed, sampler=sampler)


def judged(asked: Asked, *, limit: int | None = None) -> Trial:
    """Wider and deeper is larger and, up to a point, better."""
    width, depth = (int(str(asked.candidate.options[name])) for name in ("width", "depth"))
    size = 1000 * width * depth
    accuracy = 1 - 1 / (1 + width) - 0.1 * abs(depth - 2)
    over = {} if limit is None else {f"size<={limit}B": max(0.0, size / limit - 1)}
    return Trial(
        number=asked.number,
        candidate=asked.candidate,
        params=asked.params,
        state="refused" if any(over.values()) else "done",
        reason="too large" if any(over.values()) else "",
        size_bytes=size,
        accuracy=None if any(over.values()) else accuracy,
        over=over,
    )


class Instant:
    """An Objective that takes no time."""

    def __init__(self) -> None:
        self.tried: list[int] = []

    def __call__(self, asked: Asked, study: Watched, stop: Stop) -> Trial:
        stop.check()
        self.tried.append(asked.number)
        return judged(asked)

    def end(self) -> None:
        """Nothing is under way."""


def trial(number: int, size_bytes: int, accuracy: float | None, **more: Any) -> Trial:
    candidate = Candidate(space="wide", model="wide", recipe="int8", options={"width": number})
    known = {"state": "done", "params": {}, "size_bytes": size_bytes, "accuracy": accuracy}
    return Trial(number=number, **{"candidate": candidate, **known, **more})


def report(*trials: Trial, **more: Any) -> SearchReport:
    header = SearchHeader(
        search_version=1,
        search_id="search-20261129-150546-0c48",
        started_at="2026-11-29T15:05:46Z",
        asked=SearchRequest(spaces=("wide",), max_accuracy_loss=0.02),
        objectives=OBJECTIVES,
        classes=("a", "b"),
        fingerprints={},
    )
    numbers = tuple(t.number for t in front(trials, OBJECTIVES))
    return SearchReport(header=header, trials=trials, front=numbers, **more)
