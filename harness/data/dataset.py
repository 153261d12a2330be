"""A labelled data set in three splits, from a folder of images or made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.core.data import SPLITS, DataSummary, Split
from harness.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEMO", "SPLITS", "DataSummary", "Dataset", "Progress", "Split", "open_dataset"]

DEMO = "demo"

# How many images are looked at, of how many.
Progress = Callable[[int, int], None]


class Dataset(Protocol):
    """Labelled grey pictures. Within a split the order is the same on every machine."""

    @property
    def name(self) -> str:
        """What reports call it: "demo images" or the folder's name; fit to print."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, of a folder sorted; a label is an index into them."""

    @property
    def summary(self) -> DataSummary:
        """What it holds."""

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures (n, 256, 256), grey values 0 to 255, and their labels (n,)."""

    def fingerprint(self, split: Split) -> str:
        """Changes whenever `arrays(split)` or `classes` do; known without making the arrays."""


def open_dataset(
    text: str, cache: Path, *, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """`--data`: "demo", or a folder with one folder of images per class.

    `seed` makes other demo images; of a folder it chooses which images are for training, for
    validation and for the test, unless the folder says so itself. Every image of a folder is read
    here, or known from `cache` to be what it was.

    Raises DataError if the folder cannot be used, UsageError if Pillow is missing or the cache
    cannot be written to.
    """
    if not text:
        raise UsageError("--data is empty", "give a folder of images, or demo")
    if text == DEMO:
        from harness.data.demo_set import DemoSet

        return DemoSet(cache, seed)
    from harness.data.folder import open_folder

    return open_folder(Path(text), cache, seed=seed, progress=progress)
