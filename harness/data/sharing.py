"""Which pictures are used, and on which side of the split each of them is.

First copies are found: files with the same pixels are one picture, and pictures that were saved
again stay together. Then the user's own split decides, or else a hash of the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.core import units
from harness.core.data import MOST_NAMED, SPLITS, Split
from harness.core.errors import UsageError
from harness.data import copies
from harness.data.image_cache import Known
from harness.data.split import SHARES, Shares, assign
from harness.data.tree import ImageFile, Tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Wanted(NamedTuple):
    """How to divide the pictures: per cent for each split, if the user says so, and the seed of the
    hash."""

    shares: Shares | None
    seed: int


@dataclass(frozen=True)
class Image:
    """A picture that was read. `group` is the digest of the first of its copies, else its own."""

    file: ImageFile
    known: Known
    group: str = ""


@dataclass
class Doubles:
    """The files with the same pixels."""

    copies: int
    straddling: list[str]
    conflicts: list[str]


def _named(alike: list[Image]) -> str:
    """The file names of one picture, cut to a few if there are thousands. One name for each class
    and split comes first, because those matter."""
    ordered = sorted(alike, key=lambda image: image.file.name)
    places: dict[tuple[str, str | None], list[str]] = {}
    for image in ordered:
        places.setdefault((image.file.label, image.file.split), []).append(image.file.name)
    first = [names[0] for names in places.values()]
    chosen = [*first, *(i.file.name for i in ordered if i.file.name not in first)][:MOST_NAMED]
    more = len(alike) - len(chosen)
    return " = ".join(sorted(chosen)) + (f" and {more:,} more" if more else "")


def distinct(read: list[Image]) -> tuple[list[Image], Doubles]:
    """One file for each picture, in the order of the pixels' digests; none for a picture that lies
    in two classes. A picture in two splits is kept in the later one only, since accuracy on test
    images that were trained on means nothing."""
    same: dict[str, list[Image]] = {}
    for image in read:
        same.setdefault(image.known.pixels, []).append(image)
    kept = []
    doubles = Doubles(0, [], [])
    for _, alike in sorted(same.items()):
        alike.sort(key=lambda image: image.file.name)
        names = _named(alike)
        if len({image.file.label for image in alike}) > 1:
            doubles.conflicts.append(names)
            continue
        doubles.copies += len(alike) - 1
        if len({image.file.split for image in alike}) > 1:
            doubles.straddling.append(names)
        kept.append(max(alike, key=lambda image: SPLITS.index(image.file.split or "train")))
    doubles.conflicts.sort()
    doubles.straddling.sort()
    return kept, doubles


@dataclass
class Near:
    """The pictures that were saved again, and how many of them are left out."""

    names: list[str] = field(default_factory=list)
    left_out: int = 0


def grouped(
    tree: Tree, distinct: list[Image], seen: Callable[[Image], NDArray[np.uint8]]
) -> tuple[list[Image], Near]:
    """Each picture with the group of its copies. Where the user's split has them on two sides, the
    later side keeps its own and the earlier ones are left out. `seen` is a picture of eight bits.
    """
    near = Near()
    looks = [image.known.look for image in distinct]
    found = copies.pairs(looks, lambda index: copies.comparable(seen(distinct[index])))
    first = copies.groups(len(distinct), found)
    members: dict[int, list[Image]] = {}
    for image, leader in zip(distinct, first, strict=True):
        members.setdefault(leader, []).append(image)
    kept = []
    for group in members.values():
        digest = group[0].known.pixels
        if len(group) > 1:
            near.names.append(_named(group))
        side = max(_side(tree, image) for image in group)
        for image in group:
            if _side(tree, image) == side:
                kept.append(Image(image.file, image.known, digest))
            else:
                near.left_out += 1
    near.names.sort()
    kept.sort(key=lambda image: image.known.pixels)
    return kept, near


def _side(tree: Tree, image: Image) -> int:
    """The position of the split that the user has put an image into; 0 if the user has not."""
    return SPLITS.index(image.file.split or "train") if tree.splits else 0


def share_out(
    tree: Tree, images: list[Image], how: Wanted
) -> tuple[dict[Split, list[Image]], dict[str, int]]:
    """The images of each split, and by class how many were moved to a split that had none.

    Splits that the user has made stay; the others are taken from the images for training. Copies
    of one picture go together, and those of several classes are not moved.
    """
    wanted = _wanted(tree, how)
    splits: dict[Split, list[Image]] = {split: [] for split in SPLITS}
    places: dict[tuple[str, str], Split] = {}
    moved = {}
    labels: dict[str, set[str]] = {}
    for image in images:
        labels.setdefault(image.group, set()).add(image.file.label)
    shared = frozenset(group for group, found in labels.items() if len(found) > 1)
    for name in tree.classes:
        free = [i for i in images if i.file.label == name and i.file.split in (None, "train")]
        chosen, moved[name] = assign((i.group for i in free), wanted, how.seed, stay=shared)
        places.update({(name, group): split for group, split in chosen.items()})
    for image in images:
        own = image.file.split
        free_to_go = own in (None, "train")
        splits[places[image.file.label, image.group] if free_to_go else own].append(image)  # type: ignore[index]
    return splits, moved


def refuse_unused(tree: Tree, how: Wanted) -> None:
    """Raise UsageError if the user says how many images go to each split, and the data has its own
    validation and test."""
    if how.shares is not None and len(_wanted(tree, how)) == 1:
        raise UsageError(
            f"--split is not used: the images have a split of their own ({_own(tree)})",
            "leave it out",
        )


def _own(tree: Tree) -> str:
    return ", ".join(f"{split} from {name}" for split, name in tree.splits.items())


def _wanted(tree: Tree, how: Wanted) -> dict[Split, int]:
    """The share of each split that gets images which have no split, or which are for training."""
    shares = SHARES if how.shares is None else how.shares
    return {s: share for s, share in shares.items() if s == "train" or s not in tree.splits}


def split_by(tree: Tree, how: Wanted) -> str:
    """A sentence that says what decided the split of each picture."""
    wanted = _wanted(tree, how)
    by_content = f"by a hash of each image's content, seed {how.seed}"
    if not tree.splits:
        return "/".join(str(share) for share in wanted.values()) + f" {by_content}"
    own = _own(tree)
    taken = [split for split in wanted if split != "train"]
    if not taken:
        return f"the folder's own ({own})"
    total = sum(wanted.values())
    rest = " and ".join(f"{split} ({units.percent(wanted[split] / total)})" for split in taken)
    origin = tree.splits.get("train", "the rest")
    return f"the folder's own ({own}); {rest} taken from {origin} {by_content}"
