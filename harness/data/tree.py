"""The content of a folder of images: which file is of which class, and which files are not used.

    FOLDER/CLASS/**/*.png                   as Keras's image_dataset_from_directory has it
    FOLDER/{train,validation,test}/CLASS/** where the split is the user's

Hidden files are ignored, and folders that other programs leave behind. Class names are compared in
one Unicode form (NFC), since macOS and Linux write the same name in two. Symbolic links to folders
are never followed, so there are no loops, and those to files only inside FOLDER. A link where a
class should be is an error, because ignoring it would lose a class.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.core import units
from harness.core.data import SPLITS, Left, Split, first_few
from harness.core.errors import DataError
from harness.data.decode import KINDS, UNREADABLE_KINDS, missing

NOT_READ = "a picture of a kind that cannot be read"

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
# What stands behind a split's name in `training_set`, `train_images`, `val2017`.
_AFTER_SPLIT = re.compile(r"([ _-]?(set|data|images|imgs|split))?[ _-]?([0-9]{4})?$")


def split_named(text: str) -> Split | None:
    """The split that a folder or a word stands for."""
    name = text.strip().lower()
    return SPLIT_NAMES.get(name) or SPLIT_NAMES.get(_AFTER_SPLIT.sub("", name))


# Folders that network storage, desktops and archives make, in lower case.
_JUNK = frozenset(
    {
        *(
            "@eadir",
            "#recycle",
            "@recycle",
            "#snapshot",
            "$recycle.bin",
            "system volume information",
        ),
        *("lost+found", "__macosx", "__pycache__", "_thumbs", "thumbs.db", "desktop.ini"),
        *("@__thumb", "@recently-snapshot", "@sharebin", "lost.dir", "found.000", "recycler"),
        *("recycled", "network trash folder", "temporary items", "thevolumesettingsfolder"),
        *("_gsdata_", "cvs", "photoprism", "zbthumbnail.info"),
    }
)


@dataclass(frozen=True)
class ImageFile:
    """One file to decode. `name` is its path inside the folder, safe to print, `path` what to open,
    `kind` what its name promises; `split` is None unless the folder has splits of its own."""

    name: str
    path: Path
    kind: str
    label: str
    split: Split | None


@dataclass
class Tree:
    """All that was found. `splits` maps each split that the user made to where it comes from;
    `notes` are printed as they are."""

    classes: tuple[str, ...]
    splits: dict[Split, str]
    files: list[ImageFile] = field(default_factory=list)
    refused: list[Left] = field(default_factory=list)
    skipped: list[Left] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(root: Path) -> Tree:
    """Walk a folder of images without opening any.

    Raises DataError if there is no such folder, or none of classes in it.
    """
    entries = _entries(root, root)
    tree = Tree(classes=(), splits={})
    splits = _own_splits(tree, root, _folders(entries))
    tree.splits = {split: f"{name}/" for split, name in splits.items()}
    _leave(tree, root, entries)
    if splits:
        for split, name in splits.items():
            inside = _entries(root, root / name)
            _leave(tree, root, inside)
            _add_classes(tree, root, _folders(inside), split)
    else:
        _add_classes(tree, root, [f for f in _folders(entries) if not _set_aside(tree, f)], None)
    if len(tree.classes) < 2:
        raise _too_few_classes(root, tree)
    if not splits:
        tree.notes += _alike_folders_note(
            root, [f for f in _folders(entries) if not _set_aside(tree, f)]
        )
    return tree


def class_name(folder: str) -> str:
    """The name of a class from that of its folder, safe to print and to store: bytes that are not
    UTF-8 are read as Latin-1, and the same letters are written in one form (NFC).

    Raises DataError if it has characters that cannot be printed.
    """
    try:
        text = os.fsencode(folder).decode()
    except UnicodeDecodeError:
        text = os.fsencode(folder).decode("latin-1")
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        raise DataError(
            f"the class folder '{units.name(folder)}' has unprintable characters", "rename it"
        )
    return text


def _set_aside(tree: Tree, folder: Path) -> bool:
    """Whether a folder beside classes is a split without classes, which the notes mention."""
    return any(note.startswith(f"{units.name(folder.name)}/ ") for note in tree.notes)


def _add_classes(tree: Tree, root: Path, folders: list[Path], split: Split | None) -> None:
    names = [class_name(folder.name) for folder in folders]
    tree.classes = tuple(sorted({*tree.classes, *names}))
    for folder, name in zip(folders, names, strict=True):
        for path in _walk(tree, root, folder):
            _add_file(tree, root, path, name, split)


def _add_file(tree: Tree, root: Path, path: Path, label: str, split: Split | None) -> None:
    name = _name(root, path)
    suffix = path.suffix.lower()
    kind = KINDS.get(suffix)
    if kind is None:
        unreadable = suffix in UNREADABLE_KINDS
        _leave_file(tree, root, path, NOT_READ if unreadable else "of another kind")
        return
    if extra := missing(kind):
        _leave_file(tree, root, path, f"{NOT_READ} without the extra {extra}")
        return
    try:
        target = target_of(root, path)
    except Unfit as unfit:
        tree.refused.append(Left(path=name, reason=str(unfit)))
        return
    tree.files.append(ImageFile(name, target, kind, label, split))


class Unfit(Exception):
    """Why a file is not to be opened."""


def target_of(root: Path, path: Path) -> Path:
    """The regular file that `path` is or points to."""
    target = _followed(path)
    if target is not path and not target.is_relative_to(root):
        raise Unfit("is a link out of the folder")
    try:
        mode = target.lstat().st_mode
    except OSError as error:
        raise Unfit(f"cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(mode):
        raise Unfit("is not a regular file")
    return target


def _followed(path: Path) -> Path:
    """Where a link leads; anything else as it is."""
    try:
        return path.resolve(strict=True) if path.is_symlink() else path
    except FileNotFoundError:
        raise Unfit("is a link to nothing") from None
    except RuntimeError:  # how Python before 3.13 says ELOOP
        raise Unfit("is a link in a loop") from None
    except OSError as error:
        loop = error.errno == errno.ELOOP
        reason = "is a link in a loop" if loop else f"cannot be read: {error.strerror or error}"
        raise Unfit(reason) from None


def _walk(tree: Tree, root: Path, top: Path) -> Iterator[Path]:
    """Every file below; folders that cannot be opened are refused."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = _visible(folder)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror or error}"
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
    """What a folder of folders holds. Raises DataError if it cannot be opened."""
    where = units.name(str(folder))
    fix = "give a folder with one folder of images per class, or demo"
    try:
        return _visible(folder)
    except FileNotFoundError:
        raise DataError(f"there is no folder {where}", fix) from None
    except NotADirectoryError:
        raise DataError(f"{where} is a file", fix) from None
    except OSError as error:
        raise DataError(
            f"cannot open {where}: {error.strerror or error}", "make it readable"
        ) from None


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries by name, without what is hidden or left behind by other programs."""
    with os.scandir(folder) as entries:
        visible = [e for e in entries if e.name[0] != "." and e.name.lower() not in _JUNK]
    return sorted(visible, key=lambda entry: entry.name)


def _folders(entries: list[os.DirEntry[str]]) -> list[Path]:
    return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _leave(tree: Tree, root: Path, entries: list[os.DirEntry[str]]) -> None:
    """Note what lies beside the folders of classes."""
    for entry in entries:
        if _is_linked_folder(entry):
            raise DataError(
                f"{_name(root, Path(entry.path))} in {units.name(str(root))} is a link to a folder",
                "put the folder itself there if it is a class, or remove the link",
            )
        if not entry.is_dir(follow_symlinks=False):
            _leave_file(tree, root, Path(entry.path), "not in the folder of a class")


def _leave_file(tree: Tree, root: Path, path: Path, reason: str) -> None:
    """Skip files that are not images; a link to nothing is refused, whatever its name."""
    try:
        _followed(path)
    except Unfit as unfit:
        tree.refused.append(Left(path=_name(root, path), reason=str(unfit)))
    else:
        tree.skipped.append(Left(path=_name(root, path), reason=reason))


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a loop, or it points to a place that we may not read
        return False


def _linked_folder(root: Path, entry: os.DirEntry[str]) -> Left:
    return Left(path=_name(root, Path(entry.path)), reason="is a link to a folder")


def _name(root: Path, path: Path) -> str:
    return units.name(path.relative_to(root).as_posix())


def _own_splits(tree: Tree, root: Path, folders: list[Path]) -> dict[Split, str]:
    """The folder of each split, if the folders are splits rather than classes: if all of them have
    the name of a split, or if `train` and another split are among them."""
    found: dict[Split, str] = {}
    others = []
    for folder in folders:
        split = split_named(folder.name)
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
    if _folders(_entries(root, root / found["train"])):
        for split in [s for s in found if s != "train" and _is_flat(root / found[s])]:
            _note_unlabelled(tree, root / found[split], split)
            del found[split]
    return found


def _is_flat(folder: Path) -> bool:
    """Whether it holds images and no folders of classes."""
    entries = _visible(folder)
    return not _folders(entries) and any(Path(e.name).suffix.lower() in KINDS for e in entries)


def _note_unlabelled(tree: Tree, folder: Path, split: Split) -> None:
    images = sum(Path(e.name).suffix.lower() in KINDS for e in _visible(folder))
    tree.notes.append(
        f"{units.name(folder.name)}/ has {images:,} images without classes, so they are not "
        f"used: the {split} split is taken from the images for training"
    )


def _alike_folders_note(root: Path, folders: list[Path]) -> Iterator[str]:
    """A note where every class holds the same folders: those may be what was meant."""
    inside = []
    for folder in folders:
        try:
            entries = _visible(folder)
        except OSError:  # reported already
            return
        inside.append({units.name(inner.name) for inner in _folders(entries)})
    shared = set.intersection(*inside)
    if len(shared) >= 2 and all(names == shared for names in inside):
        names = first_few([units.name(folder.name) for folder in folders])
        yield (
            f"each of {names} holds the folders {first_few(sorted(shared))}: if those are the "
            "classes, name the outer folders train, validation and test"
        )


def _too_few_classes(root: Path, tree: Tree) -> DataError:
    where = units.name(str(root))
    layout = "put the images of each class into a folder of their own"
    if tree.classes:
        only = tree.classes[0]
        alone = f"{where} holds one class only, {only}"
        if not tree.splits and (inner := _data_set_inside(root)):
            return DataError(alone, f"did you mean {inner}?")
        return DataError(alone, "add the folder of another one")
    if tree.refused:
        return DataError(f"{where} holds no class: {tree.refused[0].path} is a link", layout)
    if any(Path(left.path).suffix.lower() in KINDS for left in tree.skipped):
        return DataError(f"{where} holds images, but no folders of classes", layout)
    return DataError(f"{where} holds no folders of classes", layout)


def _data_set_inside(root: Path) -> str | None:
    """The folder below the only folder of `root`, and so on, that holds a data set."""
    folders = _folders(_entries(root, root))
    while len(folders) == 1:
        inner = folders[0]
        folders = _folders(_entries(inner, inner))
        if len(folders) > 1:
            return units.name(str(inner))
    return None


def unread_note(skipped: list[Left]) -> list[str]:
    """A line for pictures of kinds that cannot be read, and how to read them if there is a way."""
    kinds: dict[str, Counter[str]] = {}
    for left in skipped:
        if left.reason.startswith(NOT_READ):
            suffix = Path(left.path).suffix.lower()
            kinds.setdefault(left.reason, Counter())[suffix] += 1
    lines = []
    for reason, counts in kinds.items():
        extra = reason.rpartition(" extra ")[2] if " extra " in reason else ""
        fix = f"pip install 'mobile-bench-harness[{extra}]'" if extra else "save them as png"
        said = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())
        lines.append(f"{sum(counts.values()):,} files cannot be read ({said}): {fix}")
    return lines
