"""A data set of images: a folder, a list of files or an array file, in three splits.

Every file is opened once, hashed and decoded; a broken or hostile one is refused by name, and the
rest are used. Files with the same pixels count as one image, whatever their names and encodings;
copies that were saved again stay on one side. Names do not affect the order within a split, which
follows from the pixels' digests and, in the test split, from the seed as well: so the first images
of the test are a random sample of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core import units
from harness.core.data import SPLITS, DataSummary, Left, Split, first_few, imbalance_of
from harness.core.errors import DataError
from harness.core.text import count
from harness.data import arrays_file, decode, depth, listed, stored
from harness.data.image_cache import ImageCache
from harness.data.isolated import Decoder
from harness.data.sharing import (
    Image,
    Wanted,
    distinct,
    grouped,
    refuse_unused,
    share_out,
    split_by,
)
from harness.data.split import Shares, place
from harness.data.tree import ImageFile, Tree, look, unread_note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.dataset import Progress

# More than this share of broken images is too many for training to ignore.
MAX_REFUSED = 0.1


@dataclass(frozen=True)
class Depths:
    """The range in use of pictures of more than eight bits, by their form."""

    ranges: dict[decode.Form, depth.Range]

    def shown(self, picture: decode.Picture) -> NDArray[np.uint8]:
        """A picture in eight bits, grey or colour."""
        if not picture.deep:
            return picture.array()
        return depth.eight_bits(picture.array(), self.ranges[picture.form])


class FolderSet:
    """The images in three splits; made by `open_folder` and its like."""

    def __init__(
        self,
        summary: DataSummary,
        classes: tuple[str, ...],
        images: dict[Split, list[Image]],
        cache: ImageCache,
        depths: Depths,
    ) -> None:
        self.name = summary.name
        self.classes = classes
        self.summary = summary
        self._images = images
        self._cache = cache
        self._depths = depths

    def fingerprint(self, split: Split) -> str:
        """Digest of the pixels and labels of a split, in their order, and of the classes."""
        return self.summary.fingerprints[split]

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Grey pictures (n, 256, 256), mapped from the cache, and labels (n,).

        Raises DataError if a file has changed since the folder was opened and its picture is no
        longer in the cache.
        """
        import numpy as np

        labels = [self.classes.index(image.file.label) for image in self._images[split]]
        grey = (p if p.ndim == 2 else decode.grey_of(p) for p in self._pictures(split))
        images = self._mapped(split, "images.npy", grey, decode.SHAPE)
        return images, np.array(labels, np.int64)

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        """The same pictures in colour (n, 256, 256, 3), mapped; None if the data set has none."""
        if not self.summary.colour:
            return None
        wide = (p if p.ndim == 3 else p[..., None].repeat(3, 2) for p in self._pictures(split))
        images: NDArray[np.uint8] = self._mapped(split, "colours.npy", wide, (*decode.SHAPE, 3))
        return images

    def _mapped(
        self, split: Split, name: str, pictures: Iterator[NDArray[np.uint8]], shape: Any
    ) -> Any:
        path = stored.folder_of(self._cache.root, self.fingerprint(split)) / name
        with self._cache:
            return stored.mapped(path, pictures, (len(self._images[split]), *shape))

    def _pictures(self, split: Split) -> Iterator[NDArray[np.uint8]]:
        for image in self._images[split]:
            yield _seen(self._cache, self._depths, image)


def _seen(cache: ImageCache, depths: Depths, image: Image) -> NDArray[np.uint8]:
    """A picture as models see it, from the cache or read again; raises DataError."""
    try:
        picture = cache.picture(image.file.path, image.file.kind, image.known)
    except decode.Refused as refused:
        raise DataError(f"{image.file.name} {refused}", "run the command again") from None
    return depths.shown(picture)


def open_folder(
    folder: Path,
    cache: Path,
    *,
    seed: int = 0,
    shares: Shares | None = None,
    progress: Progress | None = None,
    decoder: Decoder | None = None,
) -> FolderSet:
    """Read every image of `folder`, and share them out between the splits. A `labels.csv` in it
    says the class of each image, unless there are folders of classes.

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
    listing = root / listed.LABELS
    tree = None
    if os.path.isfile(listing):  # noqa: PTH113  Path.is_file raises where the folder is closed
        try:
            tree = look(root)
        except DataError:
            return open_list(listing, cache, seed=seed, shares=shares, progress=progress)
        tree.notes.append(f"{listed.LABELS} is not used: the folders say which class is which")
    images = ImageCache(cache, root, version, decoder)
    name = units.name(root.name or str(root))
    return _opened(name, tree or look(root), images, Wanted(shares, seed), progress)


def open_list(
    path: Path,
    cache: Path,
    *,
    seed: int = 0,
    shares: Shares | None = None,
    progress: Progress | None,
) -> FolderSet:
    """Like `open_folder`, for the images that a CSV file lists."""
    version = decode.decoder()
    root, tree = listed.look(path)
    name = root.name if path.name == listed.LABELS else path.name
    images = ImageCache(cache, root, version)
    return _opened(units.name(name), tree, images, Wanted(shares, seed), progress)


def open_arrays(
    path: Path,
    cache: Path,
    *,
    seed: int = 0,
    shares: Shares | None = None,
    progress: Progress | None,
) -> FolderSet:
    """Like `open_folder`, for the pictures in an .npz file."""
    images = ImageCache(cache, path.absolute(), decode.decoder())
    read: list[Image] = []

    def keep(file: ImageFile, picture: decode.Picture) -> None:
        read.append(Image(file, images.keep(picture)))
        if progress is not None:
            progress(len(read), len(read))

    tree, how = arrays_file.look(path, keep), Wanted(shares, seed)
    refuse_unused(tree, how)
    return _assembled(units.name(path.name), tree, read, images, how)


def _opened(
    name: str, tree: Tree, images: ImageCache, how: Wanted, progress: Progress | None
) -> FolderSet:
    refuse_unused(tree, how)
    with images:
        read = list(_read(tree, images, progress))
        images.save()
        return _assembled(name, tree, read, images, how)


def _assembled(
    name: str, tree: Tree, read: list[Image], cache: ImageCache, how: Wanted
) -> FolderSet:
    _refuse_too_many(tree, len(read))
    different, doubles = distinct(read)
    depths = _depths(different)
    kept, near = grouped(tree, different, lambda image: _seen(cache, depths, image))
    splits, moved = share_out(tree, kept, how)
    splits["test"].sort(key=lambda image: place(image.known.pixels, how.seed))
    counts = {
        c: {s: sum(i.file.label == c for i in splits[s]) for s in SPLITS} for c in tree.classes
    }
    unread = unread_note(tree.skipped)
    _check(name, counts, doubles.conflicts, unread)
    summary = DataSummary(
        name=name,
        counts=counts,
        split_by=split_by(tree, how),
        imbalance=imbalance_of(counts),
        colour=sum(image.known.form == "colour" for image in kept),
        depth=tuple(_depth_notes(kept, depths)),
        copies=doubles.copies,
        resaved=tuple(near.names),
        resaved_left_out=near.left_out,
        straddling=tuple(doubles.straddling),
        conflicts=tuple(doubles.conflicts),
        refused=tuple(sorted(tree.refused, key=lambda left: left.path)),
        skipped=tuple(sorted(tree.skipped, key=lambda left: left.path)),
        notes=(*unread, *tree.notes, *_notes(counts, moved, tree.splits)),
        fingerprints={s: _fingerprint(tree.classes, splits[s], depths) for s in SPLITS},
    )
    return FolderSet(summary, tree.classes, splits, cache, depths)


def _read(tree: Tree, cache: ImageCache, progress: Progress | None) -> Iterator[Image]:
    looked = cache.looks([(file.path, file.kind) for file in tree.files])
    for done, (file, known) in enumerate(zip(tree.files, looked, strict=True), 1):
        if isinstance(known, decode.Refused):
            tree.refused.append(Left(path=file.name, reason=str(known)))
        else:
            yield Image(file, known)
        if progress is not None:
            progress(done, len(tree.files))


def _depths(images: list[Image]) -> Depths:
    ranges: dict[decode.Form, depth.Range] = {}
    for form in ("deep", "real"):
        known = [i.known for i in images if i.known.form == form]
        if known:
            extremes = ((one.low, one.high) for one in known)
            ranges[form] = depth.range_of(extremes, whole=form == "deep")
    return Depths(ranges)


def _depth_notes(images: list[Image], depths: Depths) -> Iterator[str]:
    for form, used in depths.ranges.items():
        of_form = sum(image.known.form == form for image in images)
        kind = "16 bits" if form == "deep" else "floats or wide numbers"
        low, high = (f"{v:,.6g}" for v in (used.low, used.high))
        yield (
            f"{of_form:,} of {len(images):,} images are of {kind}, {used.why}: "
            f"{low} to {high} is shown as 0 to 255"
        )


def _fingerprint(classes: tuple[str, ...], images: list[Image], depths: Depths) -> str:
    digest = hashlib.sha256(repr(classes).encode())
    if depths.ranges:
        digest.update(repr(sorted(depths.ranges.items())).encode())
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
            "repair or remove them",
        )


def _check(
    name: str, counts: dict[str, dict[Split, int]], conflicts: list[str], unread: list[str]
) -> None:
    """Raises DataError unless every class has images for training and every split has two
    classes."""
    for label, of_class in counts.items():
        if not any(of_class.values()):
            if unread:
                raise DataError(
                    f"class {label} of {name} has no image that can be used", "; ".join(unread)
                )
            why = f", since {len(conflicts):,} are in another class too: {first_few(conflicts)}"
            raise DataError(
                f"class {label} of {name} has no image that can be used{why if conflicts else ''}",
                "add images, or remove its folder",
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


def _notes(
    counts: dict[str, dict[Split, int]], moved: dict[str, int], own: Collection[Split]
) -> Iterator[str]:
    for label, of_class in counts.items():
        if missing := [split for split in SPLITS if not of_class[split]]:
            why = "has no image" if {*missing} <= {*own} else "has too few images to be"
            yield f"class {label} {why} in {' and '.join(missing)}"
        if moved[label]:
            images = count(moved[label], "image was", "images were")
            yield (
                f"class {label} is small: {images} moved to a split that had none, "
                "and may move back when images are added"
            )
