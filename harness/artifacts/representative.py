"""Representative data for the child: images that int8 is calibrated on, made only when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.system.files import intact, sealing, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.dataset import Dataset, Split

COUNT = 32


@dataclass(frozen=True)
class Representative:
    """`fingerprint` changes whenever the images do, and is known without making them; `images`
    makes them: uint8 (count, height, width) or, in colour, (count, height, width, 3)."""

    fingerprint: str
    images: Callable[[], NDArray[np.uint8]]

    def save(self, cache: Path) -> Path:
        """The images as a .npy file in the cache, made if it is missing or damaged."""
        digest = hashlib.sha256(self.fingerprint.encode()).hexdigest()
        path = cache / "representative" / f"{digest}.npy"
        if not intact(path):
            import numpy as np

            images = self.images()
            with writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
                with sealing(path) as file:
                    np.save(file, images)
        return path


def demo(*, count: int = COUNT, seed: int = 0) -> Representative:
    """The first `count` demo images."""
    from harness.data.demo import DEFAULT_SIZE, PLAIN_DIFFICULTY, VERSION, generate

    return Representative(
        f"demo images {VERSION}, {count} of seed {seed}, {PLAIN_DIFFICULTY}, {DEFAULT_SIZE}",
        lambda: generate(count, seed=seed, difficulty=PLAIN_DIFFICULTY)[0],
    )


def of_dataset(
    dataset: Dataset, *, count: int = COUNT, split: Split = "train", colours: bool = False
) -> Representative:
    """`count` images spread over a split, with `colours` if they have any. To calibrate, only those
    for training are used, because images that calibrate must not be those that judge."""

    def images() -> NDArray[np.uint8]:
        import numpy as np

        greys, labels = dataset.arrays(split)
        coloured = dataset.colours(split) if colours else None
        every = greys if coloured is None else coloured
        # Sorted by class, so that even steps take each class in proportion to its size.
        order = np.argsort(labels, kind="stable")
        steps = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
        return np.asarray(every[order[steps]])

    seen = "in colour " if colours else ""
    return Representative(f"{count} {seen}of {dataset.fingerprint(split)}", images)
