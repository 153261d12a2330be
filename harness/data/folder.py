"""A folder of images as a data set.

Every file is opened once, hashed and decoded; what is broken or hostile is refused by its name and
the rest is used. Files with the same pixels count as one image, whatever their names and encodings.
Within a split, images are in the order of their pixels' digests: names play no part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core import units
from harness.core.data import SPLITS, DataSummary, Left, Split, first_few, imbalance_of
from harness.core.errors import DataError
from harness.core.text import count
from harness.data import decode
from harness.data.image_cache import ImageCache, Known
from harness.data.isolated import Decoder
from harness.data.split import SHARES, assign
from harness.data.tree import ImageFile, Tree, look

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.dataset import Progress

# More than this share of broken images is no accident that training should pass over.
MAX_REFUSED = 0.1


@dataclass(frozen=True)
class _Image:
    """A file that was read."""

    file: ImageFile
    known: Known


class FolderSet:
    """The images of a folder, in three splits; made by `open_folder`."""

    def __init__(
        self,
        summary: DataSummary,
        classes: tuple[str, ...],
        images: dict[Split, list[_Image]],
        cache: ImageCache,
    ) -> None:
        self.name = summary.name
        self.classes = classes
        self.summary = summary
        self._images = images
        self._cache = cache

    def fingerprint(self, split: Split) -> str:
        """Digest of the pixels and labels of a split, in their order, and of the classes."""
        return self.summary.fingerprints[split]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures (n, 256, 256) and labels (n,).

        Raises DataError if a file has changed since the folder was opened and what was read from
        it then is no longer in the cache.
        """
        import numpy as np

        chosen = self._images[split]
        images = np.empty((len(chosen), *decode.SHAPE), np.uint8)
        with self._cache:
            for row, image in zip(images, chosen, strict=True):
                try:
                    pixels = self._cache.pixels(image.file.path, image.file.kind, image.known)
                except decode.Refused as refused:
                    raise DataError(
                        f"{image.file.name} {refused}", "run the command again"
                    ) from None
                row[:] = np.frombuffer(pixels, np.uint8).reshape(decode.SHAPE)
        labels = [self.classes.index(image.file.label) for image in chosen]
        return images, np.array(labels, np.int64)


def open_folder(
    folder: Path,
    cache: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    decoder: Decoder | None = None,
) -> FolderSet:
    """Read every image of `folder`, and share them out between the splits.

    Raises DataError if the folder cannot be used, UsageError if Pillow is missing or the cache
    cannot be written to.
    """
    version = decode.decoder()
    try:
        root = folder.resolve()
    except (OSError, RuntimeError):
        raise DataError(
            f"{units.name(str(folder))} is a link in a loop", "give a folder of images, or demo"
        ) from None
    tree = look(root)
    images = ImageCache(cache, root, version, decoder)
    with images:
        read = list(_read(tree, images, progress))
    images.save()
    _refuse_too_many(tree, len(read))
    name = units.name(root.name or str(root))
    distinct, doubles = _distinct(read)
    splits, moved = _share_out(tree, distinct, seed)
    counts = {
        c: {s: sum(i.file.label == c for i in splits[s]) for s in SPLITS} for c in tree.classes
    }
    _check(name, counts, doubles.conflicts)
    summary = DataSummary(
        name=name,
        counts=counts,
        split_by=_split_by(tree, seed),
        imbalance=imbalance_of(counts),
        colour=sum(image.known.colour for image in distinct),
        copies=doubles.copies,
        straddling=tuple(doubles.straddling),
        conflicts=tuple(doubles.conflicts),
        refused=tuple(sorted(tree.refused, key=lambda left: left.path)),
        skipped=tuple(sorted(tree.skipped, key=lambda left: left.path)),
        notes=tuple(_notes(counts, moved)),
        fingerprints={split: _fingerprint(tree.classes, splits[split]) for split in SPLITS},
    )
    return FolderSet(summary, tree.classes, splits, images)


def _read(tree: Tree, cache: ImageCache, progress: Progress | None) -> Iterator[_Image]:
    for done, file in enumerate(tree.files, 1):
        try:
            yield _Image(file, cache.look(file.path, file.kind))
        except decode.Refused as refused:
            tree.refused.append(Left(path=file.name, reason=str(refused)))
        if progress is not None:
            progress(done, len(tree.files))


def _fingerprint(classes: tuple[str, ...], images: list[_Image]) -> str:
    digest = hashlib.sha256(repr(classes).encode())
    for image in images:
        label = classes.index(image.file.label)
        digest.update(f" {image.known.pixels} {label}".encode())
    return digest.hexdigest()


def _refuse_too_many(tree: Tree, usable: int) -> None:
    every = usable + len(tree.refused)
    if len(tree.refused) > MAX_REFUSED * every:
        names = sorted(f"{left.path} {left.reason}" for left in tree.refused)
        raise DataError(
            f"{len(names)} of {every} images cannot be used, more than "
            f"{units.percent(MAX_REFUSED)}: {first_few(names)}",
            "mend them or take them away",
        )


@dataclass
class _Doubles:
    """What was found of files with the same pixels."""

    copies: int
    straddling: list[str]
    conflicts: list[str]


def _distinct(read: list[_Image]) -> tuple[list[_Image], _Doubles]:
    """One file for each picture, in the order of the pixels' digests; none for a picture that lies
    in two classes. Of a picture in two splits the later split has it: a test that was trained on
    tests nothing."""
    same: dict[str, list[_Image]] = {}
    for image in read:
        same.setdefault(image.known.pixels, []).append(image)
    kept = []
    doubles = _Doubles(0, [], [])
    for _, copies in sorted(same.items()):
        copies.sort(key=lambda image: image.file.name)
        names = " = ".join(image.file.name for image in copies)
        if len({image.file.label for image in copies}) > 1:
            doubles.conflicts.append(names)
            continue
        doubles.copies += len(copies) - 1
        if len({image.file.split for image in copies}) > 1:
            doubles.straddling.append(names)
        kept.append(max(copies, key=lambda image: SPLITS.index(image.file.split or "train")))
    doubles.conflicts.sort()
    doubles.straddling.sort()
    return kept, doubles


def _share_out(
    tree: Tree, distinct: list[_Image], seed: int
) -> tuple[dict[Split, list[_Image]], dict[str, int]]:
    """The images of each split, and by class how many were moved to a split that had none.

    Splits that the folder has stay; the others are taken from the images for training.
    """
    shares = _shares(tree)
    splits: dict[Split, list[_Image]] = {split: [] for split in SPLITS}
    places: dict[str, Split] = {}
    moved = {}
    for name in tree.classes:
        free = [i for i in distinct if i.file.label == name and i.file.split in (None, "train")]
        chosen, moved[name] = assign((image.known.pixels for image in free), shares, seed)
        places.update(chosen)
    for image in distinct:
        own = image.file.split
        splits[places[image.known.pixels] if own in (None, "train") else own].append(image)
    return splits, moved


def _shares(tree: Tree) -> dict[Split, int]:
    """Of the splits that the images without one, or those for training, are shared between."""
    return {s: share for s, share in SHARES.items() if s == "train" or s not in tree.splits}


def _split_by(tree: Tree, seed: int) -> str:
    shares = _shares(tree)
    by_content = f"by a hash of each image's content, seed {seed}"
    if not tree.splits:
        return "/".join(str(share) for share in shares.values()) + f" {by_content}"
    own = ", ".join(f"{split} from {name}/" for split, name in tree.splits.items())
    taken = [split for split in shares if split != "train"]
    if not taken:
        return f"the folder's own ({own})"
    total = sum(shares.values())
    rest = " and ".join(f"{split} ({units.percent(shares[split] / total)})" for split in taken)
    return f"the folder's own ({own}); {rest} taken from {tree.splits['train']}/ {by_content}"


def _check(name: str, counts: dict[str, dict[Split, int]], conflicts: list[str]) -> None:
    """Raises DataError unless there is something to learn and something to tell apart."""
    for label, of_class in counts.items():
        if not any(of_class.values()):
            why = f", since {len(conflicts):,} are in another class too: {first_few(conflicts)}"
            raise DataError(
                f"class {label} of {name} has no image that can be used{why if conflicts else ''}",
                "add images, or take its folder away",
            )
        if not of_class["train"]:
            raise DataError(
                f"class {label} of {name} has no image for training", "add some to its folder"
            )
    for split in SPLITS:
        held = [label for label, of_class in counts.items() if of_class[split]]
        if len(held) < 2:
            sizes = {label: sum(of_class.values()) for label, of_class in counts.items()}
            least = min(sizes, key=lambda label: sizes[label])
            images = count(sizes[least], "distinct image")
            why = f": class {least} has {images} in all" if sizes[least] < len(SPLITS) else ""
            raise DataError(
                f"the {split} split of {name} holds "
                f"{f'only class {held[0]}' if held else 'no image'}{why}",
                "add images: each split needs at least two classes",
            )


def _notes(counts: dict[str, dict[Split, int]], moved: dict[str, int]) -> Iterator[str]:
    for label, of_class in counts.items():
        if missing := [split for split in SPLITS if not of_class[split]]:
            yield f"class {label} has too few images to be in {' and '.join(missing)}"
        if moved[label]:
            images = count(moved[label], "image was", "images were")
            yield (
                f"class {label} is small: {images} moved to a split that had none, "
                "and may move back when images are added"
            )
