"""The interface of a labelled data set in three splits, whatever its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from harness.core.data import SPLITS, DataSummary, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEMO", "SPLITS", "DataSummary", "Dataset", "Progress", "Split"]

DEMO = "demo"

# Called with (images read so far, all images).
Progress = Callable[[int, int], None]


class Dataset(Protocol):
    """Labelled pictures. Within a split the order is the same on every machine."""

    @property
    def name(self) -> str:
        """What reports call it: "demo images" or the folder's name; safe to print."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, of a folder sorted; a label is an index into them."""

    @property
    def summary(self) -> DataSummary:
        """What it holds."""

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures (n, 256, 256), grey values 0 to 255, and their labels (n,). The pictures may be
        mapped from a file, so that reading a part of them reads no more than that."""

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        """The same pictures as red, green and blue (n, 256, 256, 3); None if none has colours."""

    def fingerprint(self, split: Split) -> str:
        """Changes whenever `arrays(split)` or `classes` do; known without making the arrays."""
