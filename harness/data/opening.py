"""Opens what `--data` names: the demo images or a folder."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import UsageError
from harness.data.dataset import DEMO, Dataset, Progress


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
