"""Labelled images and answers to them, made up for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.data import DataSummary
from harness.core.evaluation import packed_labels, packed_scores
from harness.core.types import Evaluation, Evidence, Failure
from harness.measure.questions import Split
from harness.stats import accuracy
from tests import strategies

FAILED = Failure(stage="answers", transient=False, message="it crashed", fix="look")


def evaluation(scores: list[float], labels: list[int], **known: Any) -> Evaluation:
    width = len(scores) // len(labels) if labels else 1
    fields: dict[str, Any] = {
        "variant": "m",
        "sha256": "a" * 64,
        "dataset": "d",
        "split": "test",
        "fingerprint": "f",
        "runtime": "litert 2.3.0",
        "classes": ("intact", "cracked") if width == 1 else tuple("abcdef"[:width]),
        "n": len(labels),
        "width": width,
        "scores": packed_scores(scores),
        "labels": packed_labels(labels),
    }
    made = Evaluation(**{**fields, **known})
    table = accuracy.confusion(made.decisions, made.truth, len(made.classes))
    return made if "confusion" in known else msgspec.structs.replace(made, confusion=table)


class Pictures:
    """Grey pictures of some brightness, as a data set."""

    def __init__(
        self,
        labels: Sequence[int],
        *,
        classes: tuple[str, ...] = ("dark", "bright"),
        size: int = 256,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        base = np.array([80 + 90 * label for label in labels]).reshape(-1, 1, 1)
        self.images = (base + rng.integers(0, 80, (len(labels), size, size))).astype(np.uint8)
        self.labels = np.array(labels)
        self.name, self.classes, self.key = "pictures", classes, f"{seed} {list(labels)} {size}"
        self.read = 0
        self.summary = DataSummary(
            name=self.name,
            counts={
                name: {
                    "train": 0,
                    "validation": 0,
                    "test": int((self.labels == label).sum()),
                }
                for label, name in enumerate(classes)
            },
            split_by="the test that made them",
        )

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        self.read += 1
        return self.images, self.labels

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        return None

    def fingerprint(self, split: Split) -> str:
        return f"{split} {self.key}"


def broken() -> Evidence:
    """An artifact that crashed on the test images."""
    return strategies.evidence((), evaluation=evaluation([], [], failure=FAILED))


def child(right: int, n: int = 200, recipe: str = "int8") -> Evidence:
    """An artifact that is right on the first `right` of `n` examples, beside a float parent that
    is right on all."""
    labels = [i % 2 for i in range(n)]
    parent = evaluation([0.9 if x else 0.1 for x in labels], labels, variant="parent")
    decided = [x if i < right else 1 - x for i, x in enumerate(labels)]
    own = evaluation([0.8 if x else 0.2 for x in decided], labels)
    own = msgspec.structs.replace(own, agreement=accuracy.agreement(own, parent))
    artifact = strategies.artifact(recipe=recipe, float_parent="parent")
    return strategies.evidence((), artifact=artifact, evaluation=own, parent_evaluation=parent)
