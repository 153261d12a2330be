"""A data set as files in the cache, where the TensorFlow child can read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.artifacts.child.protocol import Images
from harness.core.errors import DataError
from harness.system import files
from harness.system.files import writing

if TYPE_CHECKING:
    from harness.data.dataset import Dataset, Split

LEARNED_FROM: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Material:
    """The training and validation splits for networks; the test split is never read."""

    dataset: Dataset
    cache: Path

    @property
    def fingerprint(self) -> list[object]:
        """Changes with the images and with the names of the classes."""
        prints = [self.dataset.fingerprint(split) for split in LEARNED_FROM]
        return [list(self.dataset.classes), *prints]

    def files(self, split: Split) -> Images:
        """Where the split is, or will be after `save`."""
        digest = hashlib.sha256(self.dataset.fingerprint(split).encode()).hexdigest()
        folder = self.cache.absolute() / "data" / digest
        return Images(images=str(folder / "images.npy"), labels=str(folder / "labels.npy"))

    def save(self, splits: Iterable[Split] = LEARNED_FROM) -> None:
        """Write the arrays that are missing or damaged. Raises DataError if a split is empty."""
        for split in splits:
            kept = self.files(split)
            if files.intact(Path(kept.images)) and files.intact(Path(kept.labels)):
                continue
            images, of = self.dataset.arrays(split)
            if not len(of):
                raise DataError(
                    f"{self.dataset.name}: the {split} split has no images",
                    "add images, or build with --untrained",
                )
            if not files.intact(Path(kept.images)):  # most data sets have already put theirs there
                _write(Path(kept.images), images)
            _write(Path(kept.labels), of)


def _write(path: Path, array: object) -> None:
    import numpy as np

    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.sealing(path) as file:
            np.save(file, array)  # type: ignore[arg-type]
