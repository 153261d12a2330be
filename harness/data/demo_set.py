"""The demo images as a data set; made once, then read from the cache."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.data import SPLITS, DataSummary, Split
from harness.core.errors import UsageError
from harness.data import demo
from harness.data.image_cache import unwritable
from harness.system import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]

# Pictures come in pairs with one of each class, so even sizes are balanced.
SIZES: dict[Split, int] = {"train": 840, "validation": 180, "test": 180}


class DemoSet:
    """840 demo images for training, 180 for validation, 180 for the test; half of each cracked."""

    name = "demo images"
    classes = demo.CLASSES

    def __init__(self, cache: Path, seed: int = 0, sizes: Mapping[Split, int] = SIZES) -> None:
        if seed < 0:
            raise UsageError(f"no demo images for seed {seed}", "seeds start at 0")
        if any(size < 2 or size % 2 for size in sizes.values()):
            raise ValueError("pictures come in pairs")
        self._cache = cache / "demo"
        self._seed = seed
        self._sizes = sizes

    @property
    def summary(self) -> DataSummary:
        """What it holds."""
        half = {split: self._sizes[split] // 2 for split in SPLITS}
        return DataSummary(
            name=self.name,
            counts=dict.fromkeys(self.classes, half),
            split_by=f"made so (seed {self._seed})",
            fingerprints={split: self.fingerprint(split) for split in SPLITS},
        )

    def fingerprint(self, split: Split) -> str:
        """Follows from how the images are made, so it is known without making them."""
        start, end = self._range(split)
        what = f"{demo.DEFAULT_DIFFICULTY}-{demo.DEFAULT_SIZE}"
        return f"demo-v{demo.VERSION}-seed{self._seed}-{what}-{start}-{end}"

    def arrays(self, split: Split) -> Arrays:
        """Pictures (n, 256, 256) and labels (n,)."""
        cached = self._read(split)
        return self._make()[split] if cached is None else cached

    def _range(self, split: Split) -> tuple[int, int]:
        """Index of a split's first picture, and the one after its last."""
        start = sum(self._sizes[before] for before in SPLITS[: SPLITS.index(split)])
        return start, start + self._sizes[split]

    def _path(self, split: Split) -> Path:
        return self._cache / f"{self.fingerprint(split)}.npz"

    def _read(self, split: Split) -> Arrays | None:
        """From the cache, None if it is not there whole."""
        import numpy as np

        try:
            stored = io.BytesIO(self._path(split).read_bytes())
            with np.load(stored, allow_pickle=False) as archive:
                return archive["images"], archive["labels"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def _make(self) -> dict[Split, Arrays]:
        import numpy as np

        images, labels = demo.generate(sum(self._sizes.values()), seed=self._seed)
        made: dict[Split, Arrays] = {}
        for split in SPLITS:
            part = slice(*self._range(split))
            made[split] = images[part], labels[part].astype(np.int64)
            buffer = io.BytesIO()
            np.savez(buffer, images=made[split][0], labels=made[split][1])
            try:
                self._cache.mkdir(parents=True, exist_ok=True)
                files.write_atomic(self._path(split), buffer.getvalue())
            except OSError as error:
                raise unwritable(self._cache, error) from None
        return made
