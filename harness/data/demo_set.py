"""The demo images as a data set; made once, then read from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.base import Value
from harness.core.data import SPLITS, DataSummary, Split
from harness.core.errors import UsageError
from harness.data import demo, stored
from harness.data.split import Shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]

# Few to train on, as in a typical small project, and enough to choose a cut and to judge: 1,200
# exclude a loss of 2 points where two variants differ on 2 of 100 images. Pictures come in pairs
# with one of each class, so even sizes are balanced.
SIZES: dict[Split, int] = {"train": 300, "validation": 400, "test": 1200}


def sizes_of(shares: Shares) -> dict[Split, int]:
    """How many of the 1,900 images go to each split; even, and at least two."""
    total = sum(SIZES.values())
    sizes = {split: max(2, round(total * shares[split] / 200) * 2) for split in SPLITS}
    sizes["train"] = total - sizes["validation"] - sizes["test"]
    return sizes


class Drawn(Value, frozen=True):
    """Everything that determines the images, so that another machine can draw the same ones."""

    seed: int
    sizes: dict[Split, int]


class DemoSet:
    """300 demo images for training, 400 for validation and 1,200 for the test, unless other `sizes`
    are asked for; half of each are cracked."""

    name = "demo images"
    classes = demo.CLASSES

    def __init__(self, cache: Path, seed: int = 0, sizes: Mapping[Split, int] = SIZES) -> None:
        if seed < 0:
            raise UsageError(f"no demo images for seed {seed}", "seeds start at 0")
        if any(size < 2 or size % 2 for size in sizes.values()):
            raise ValueError("pictures come in pairs")
        self._cache = cache
        self._seed = seed
        self._sizes = sizes

    @property
    def drawn(self) -> Drawn:
        """See Drawn."""
        return Drawn(seed=self._seed, sizes=dict(self._sizes))

    @property
    def summary(self) -> DataSummary:
        """What it holds."""
        half = {split: self._sizes[split] // 2 for split in SPLITS}
        return DataSummary(
            name=self.name,
            counts=dict.fromkeys(self.classes, half),
            split_by=f"generated so (seed {self._seed})",
            fingerprints={split: self.fingerprint(split) for split in SPLITS},
        )

    def fingerprint(self, split: Split) -> str:
        """Follows from how the images are made, so it is known without making them."""
        start, end = self._range(split)
        what = f"{demo.DEFAULT_DIFFICULTY}-{demo.DEFAULT_SIZE}"
        return f"demo-v{demo.VERSION}-seed{self._seed}-{what}-{start}-{end}"

    def arrays(self, split: Split) -> Arrays:
        """Pictures (n, 256, 256), mapped, and labels (n,)."""
        import numpy as np

        count = self._sizes[split]
        path = stored.folder_of(self._cache, self.fingerprint(split)) / "images.npy"
        start, end = self._range(split)
        images = stored.mapped(path, self._pictures(start, end), (count, *self._shape))
        labels = demo.labels(end, seed=self._seed)[start:]
        return images, labels.astype(np.int64)

    def colours(self, split: Split) -> None:
        """None: the demo images are grey."""

    def _pictures(self, start: int, end: int) -> Iterator[NDArray[np.uint8]]:
        for index in range(start, end):
            yield demo.generate_one(index, seed=self._seed)

    _shape = (demo.DEFAULT_SIZE, demo.DEFAULT_SIZE)

    def _range(self, split: Split) -> tuple[int, int]:
        """Index of a split's first picture, and the one after its last."""
        start = sum(self._sizes[before] for before in SPLITS[: SPLITS.index(split)])
        return start, start + self._sizes[split]
