"""Opens what `--data` names: the demo images or a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.core import units
from harness.core.errors import DataError, UsageError
from harness.data.dataset import DEMO, Dataset, Progress
from harness.data.split import Shares


def open_dataset(
    text: str,
    cache: Path,
    *,
    seed: int = 0,
    shares: Shares | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """`--data`: "demo", a folder with one folder of images per class or a labels.csv, a CSV file
    of paths and labels, or an .npz file of arrays.

    `seed` makes other demo images. For all other data it decides which images are for training, for
    validation and for the test, unless the data has its own split. `shares` are how many per cent
    go to each, 70/15/15 by default. Every image is read here, unless `cache` shows that it has
    not changed.

    Raises DataError if the data cannot be used, UsageError if Pillow is missing or the cache
    cannot be written to.
    """
    if not text:
        raise UsageError("--data is empty", "give a folder of images, or demo")
    if text == DEMO:
        from harness.data.demo_set import SIZES, DemoSet, sizes_of

        return DemoSet(cache, seed, SIZES if shares is None else sizes_of(shares))
    from harness.data import folder

    path = Path(text)
    suffix = path.suffix.lower()
    if suffix == ".csv" and not _true(path.is_dir):
        return folder.open_list(path, cache, seed=seed, shares=shares, progress=progress)
    if suffix == ".npz" and not _true(path.is_dir):
        return folder.open_arrays(path, cache, seed=seed, shares=shares, progress=progress)
    if _true(path.is_file):
        raise DataError(
            f"{units.name(str(path))} is not a folder, a .csv file or an .npz file",
            "give a folder with one folder of images per class, or demo",
        )
    return folder.open_folder(path, cache, seed=seed, shares=shares, progress=progress)


def _true(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # such as a name that is too long: opening the file reports it
        return False
