"""What lies in a folder of images: which file is of which class, and what is not to be touched.

    FOLDER/CLASS/**/*.png                   as Keras's image_dataset_from_directory has it
    FOLDER/{train,validation,test}/CLASS/** where the split is the user's

Hidden files are ignored. Symbolic links to folders are never followed, so there are no loops, and
those to files only inside FOLDER. A link where a class should be is an error: passed over, a class
would be missing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.core import units
from harness.core.data import SPLITS, Left, Split, first_few
from harness.core.errors import DataError
from harness.data.decode import KINDS

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class ImageFile:
    """One file to decode. `name` is its path inside the folder, fit to print, `path` what to open,
    `kind` what its name promises; `split` is None unless the folder has splits of its own."""

    name: str
    path: Path
    kind: str
    label: str
    split: Split | None


@dataclass
class Tree:
    """All that was found. `splits` maps a split to its folder, if there are such folders."""

    classes: tuple[str, ...]
    splits: dict[Split, str]
    files: list[ImageFile] = field(default_factory=list)
    refused: list[Left] = field(default_factory=list)
    skipped: list[Left] = field(default_factory=list)


def look(root: Path) -> Tree:
    """Walk a folder of images without opening any.

    Raises DataError if there is no such folder, or none of classes in it.
    """
    entries = _entries(root, root)
    tree = Tree(classes=(), splits=_own_splits(root, _folders(entries)))
    _leave(tree, root, entries)
    if tree.splits:
        for split, name in tree.splits.items():
            inside = _entries(root, root / name)
            _leave(tree, root, inside)
            _add_classes(tree, root, _folders(inside), split)
    else:
        _add_classes(tree, root, _folders(entries), None)
    if len(tree.classes) < 2:
        raise _too_few_classes(root, tree)
    return tree


def _add_classes(tree: Tree, root: Path, folders: list[Path], split: Split | None) -> None:
    tree.classes = tuple(sorted({*tree.classes, *(folder.name for folder in folders)}))
    for folder in folders:
        if not folder.name.isprintable():
            raise DataError(
                f"the class folder '{units.name(folder.name)}' has unprintable characters",
                "rename it",
            )
        for path in _walk(tree, root, folder):
            _add_file(tree, root, path, folder.name, split)


def _add_file(tree: Tree, root: Path, path: Path, label: str, split: Split | None) -> None:
    name = _name(root, path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        _leave_file(tree, root, path, "of another kind")
        return
    try:
        target = _target(root, path)
    except _Unfit as unfit:
        tree.refused.append(Left(path=name, reason=str(unfit)))
        return
    tree.files.append(ImageFile(name, target, kind, label, split))


class _Unfit(Exception):
    """Why a file is not to be opened."""


def _target(root: Path, path: Path) -> Path:
    """The regular file that `path` is or points to."""
    target = _followed(path)
    if target is not path and not target.is_relative_to(root):
        raise _Unfit("is a link out of the folder")
    try:
        mode = target.lstat().st_mode
    except OSError as error:
        raise _Unfit(f"cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(mode):
        raise _Unfit("is not a regular file")
    return target


def _followed(path: Path) -> Path:
    """Where a link leads; anything else as it is."""
    try:
        return path.resolve(strict=True) if path.is_symlink() else path
    except FileNotFoundError:
        raise _Unfit("is a link to nothing") from None
    except RuntimeError:  # how Python before 3.13 says ELOOP
        raise _Unfit("is a link in a loop") from None
    except OSError as error:
        loop = error.errno == errno.ELOOP
        reason = "is a link in a loop" if loop else f"cannot be read: {error.strerror or error}"
        raise _Unfit(reason) from None


def _walk(tree: Tree, root: Path, top: Path) -> Iterator[Path]:
    """Every file below; folders that cannot be looked into are refused."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = _visible(folder)
        except OSError as error:
            reason = f"cannot be looked into: {error.strerror or error}"
            tree.refused.append(Left(path=_name(root, folder), reason=reason))
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif _is_linked_folder(entry):
                tree.refused.append(_linked_folder(root, entry))
            else:
                yield Path(entry.path)


def _entries(root: Path, folder: Path) -> list[os.DirEntry[str]]:
    """What a folder of folders holds. Raises DataError if it cannot be looked into."""
    where = units.name(str(folder))
    mend = "give a folder with one folder of images per class, or demo"
    try:
        return _visible(folder)
    except FileNotFoundError:
        raise DataError(f"there is no folder {where}", mend) from None
    except NotADirectoryError:
        raise DataError(f"{where} is a file", mend) from None
    except OSError as error:
        raise DataError(
            f"cannot look into {where}: {error.strerror or error}", "make it readable"
        ) from None


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """By name, without what is hidden and what macOS leaves in archives."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    return sorted(visible, key=lambda entry: entry.name)


def _folders(entries: list[os.DirEntry[str]]) -> list[Path]:
    return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _leave(tree: Tree, root: Path, entries: list[os.DirEntry[str]]) -> None:
    """Note what lies beside the folders of classes."""
    for entry in entries:
        if _is_linked_folder(entry):
            raise DataError(
                f"{_name(root, Path(entry.path))} in {units.name(str(root))} is a link to a folder",
                "put the folder itself there if it is a class, or take the link away",
            )
        if not entry.is_dir(follow_symlinks=False):
            _leave_file(tree, root, Path(entry.path), "in no class's folder")


def _leave_file(tree: Tree, root: Path, path: Path, reason: str) -> None:
    """Pass over what is no image; a link that leads nowhere is refused, whatever it is called."""
    try:
        _followed(path)
    except _Unfit as unfit:
        tree.refused.append(Left(path=_name(root, path), reason=str(unfit)))
    else:
        tree.skipped.append(Left(path=_name(root, path), reason=reason))


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a loop, or it points to where we may not look
        return False


def _linked_folder(root: Path, entry: os.DirEntry[str]) -> Left:
    return Left(path=_name(root, Path(entry.path)), reason="is a link to a folder")


def _name(root: Path, path: Path) -> str:
    return units.name(path.relative_to(root).as_posix())


def _own_splits(root: Path, folders: list[Path]) -> dict[Split, str]:
    """The folder of each split if they are splits rather than classes: `train` and another one, or
    nothing else."""
    found: dict[Split, str] = {}
    others = []
    for folder in folders:
        split = _SPLIT_NAMES.get(folder.name.lower())
        if split is None:
            others.append(units.name(folder.name))
        elif split in found:
            raise DataError(
                f"{units.name(str(root))} has two folders for {split}, "
                f"{found[split]} and {folder.name}",
                "keep one of them",
            )
        else:
            found[split] = folder.name
    found = {split: found[split] for split in SPLITS if split in found}
    if not found or (others and ("train" not in found or len(found) == 1)):
        return {}
    if others:
        raise DataError(
            f"{units.name(str(root))} has folders of a split, {', '.join(found.values())}, "
            f"and others: {first_few(others)}",
            "move the others away, or rename what is a class and not a split",
        )
    if "train" not in found:
        raise DataError(
            f"{units.name(str(root))} has {' and '.join(found)} folders, but none for training",
            "add a folder train, with one folder of images per class",
        )
    return found


def _too_few_classes(root: Path, tree: Tree) -> DataError:
    where = units.name(str(root))
    layout = "put the images of each class into a folder of their own"
    if tree.classes:
        only = tree.classes[0]
        inside = [f.name for f in _folders(_entries(root, root / only))] if not tree.splits else []
        if len(inside) > 1:
            return DataError(
                f"{where} holds one class only, {only}", f"did you mean {where}/{only}?"
            )
        return DataError(f"{where} holds one class only, {only}", "add the folder of another one")
    if tree.refused:
        return DataError(f"{where} holds no class: {tree.refused[0].path} is a link", layout)
    if any(Path(left.path).suffix.lower() in KINDS for left in tree.skipped):
        return DataError(f"{where} holds images, but no folders of classes", layout)
    return DataError(f"{where} holds no folders of classes", layout)
