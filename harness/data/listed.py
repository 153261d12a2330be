"""Images listed in a CSV file: `--data FILE.csv`, or a folder with a `labels.csv`.

One row per image: its path (relative to the file's folder, or absolute) and its label, under a
heading or in this order. A column `split` may say train, validation or test. A name without its
folder or without its ending is found if only one image has it, as in lists of identifiers.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.core import units
from harness.core.data import SPLITS, Left, Split
from harness.core.errors import DataError
from harness.data.decode import KINDS, missing
from harness.data.tree import NOT_READ, ImageFile, Tree, Unfit, split_named, target_of

LABELS = "labels.csv"
_PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    *("image_name", "image_id", "img", "img_path", "images", "id", "name"),
)
_LABELS = (
    *("label", "class", "category", "target", "classname", "class_name", "labels", "species"),
    *("diagnosis", "y"),
)
_SPLITS = ("split", "set", "subset", "partition")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_FIX = "begin it with a line such as `path,label`"


class _Columns(NamedTuple):
    path: int
    label: int
    split: int | None


def look(path: Path) -> tuple[Path, Tree]:
    """(folder that the paths begin in, what is listed). No image is opened.

    Raises DataError if the file cannot be used.
    """
    where = units.name(str(path))
    rows = _rows(path)
    if not rows:
        raise DataError(f"{where} is empty", _FIX)
    columns, body = _columns(where, rows)
    root = path.parent.resolve()
    tree = Tree(classes=(), splits={})
    by_name: dict[str, list[Path]] | None = None
    labels: set[str] = set()
    for number, row in body:
        label = unicodedata.normalize("NFC", row[columns.label].strip())
        listed = row[columns.path].strip()
        if not label or not label.isprintable():
            raise DataError(f"{where} has no printable label in row {number}", _FIX)
        labels.add(label)
        split = _split(where, number, row[columns.split]) if columns.split is not None else None
        # On Windows lists are written with backslashes.
        listed = listed if _is_file(root / listed) else listed.replace("\\", "/")
        found = root / listed
        if not _is_file(found):
            by_name = _by_name(root) if by_name is None else by_name
            candidates = by_name.get(Path(listed).name) or by_name.get(Path(listed).stem) or []
            if len(candidates) != 1:
                reason = (
                    "is listed but does not exist" if not candidates else "is listed, but several"
                )
                reason += " files have this name" if candidates else ""
                tree.refused.append(Left(path=units.name(listed), reason=reason))
                continue
            found = candidates[0]
        _add(tree, root, ImageFile(units.name(listed), found, "", label, split))
    tree.classes = in_order(labels)
    if columns.split is not None:
        said = f"the column {units.name(rows[0][columns.split].strip())}"
        tree.splits = {s: said for s in SPLITS if any(file.split == s for file in tree.files)}
    if len(tree.classes) < 2:
        lists = f"one class only, {tree.classes[0]}" if tree.classes else "no image"
        raise DataError(f"{where} lists {lists}", "list the images of two classes or more")
    return root, tree


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Sorted as numbers if they all are, so that 10 is not before 2."""
    if all(_NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that holds a null
        return False


def _text(data: bytes) -> str:
    """UTF-8, UTF-16 as Windows programs write it, else Latin-1."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _rows(path: Path) -> list[list[str]]:
    where = units.name(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{where} cannot be read: {error.strerror or error}", "make it readable"
        ) from None
    text = _text(data)
    first, _, below = text.partition("\n")
    delimiter = max(",;\t|", key=first.count)
    if first.lower().startswith("sep="):  # for Excel, which hides the line
        delimiter, text = first.strip()[4:5] or ",", below
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return [row for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{where} is not a CSV file: {error}", _FIX) from None


def _columns(
    where: str, rows: list[list[str]]
) -> tuple[_Columns, Iterator[tuple[int, Sequence[str]]]]:
    """(which column is what, the rows below the heading with their numbers)."""
    heading = [cell.strip().lower() for cell in rows[0]]
    path, label, split = (
        next((heading.index(name) for name in names if name in heading), None)
        for names in (_PATHS, _LABELS, _SPLITS)
    )
    headed = path is not None or label is not None
    if not headed and len(heading) == 2:
        path, label = 0, 1
        # A heading in other words does not name an image.
        pictures = [[_names_picture(cell) for cell in row[:2]] for row in rows[:2]]
        if pictures[-1] == [False, True]:
            path, label = 1, 0
        headed = len(rows) > 1 and not pictures[0][path] and pictures[1][path : path + 1] == [True]
    if path is None or label is None:
        lacking = "paths" if path is None else "labels"
        raise DataError(f"{where} has no column for {lacking}: {', '.join(heading)}", _FIX)
    columns = _Columns(path, label, split)

    def body() -> Iterator[tuple[int, Sequence[str]]]:
        for number, row in enumerate(rows[headed:], 1 + headed):
            if len(row) != len(heading):
                raise DataError(
                    f"{where} has {len(row)} columns in row {number} and {len(heading)} in the "
                    "first",
                    "quote names that hold the delimiter",
                )
            yield number, row

    return columns, body()


def _names_picture(cell: str) -> bool:
    return Path(cell.strip()).suffix.lower() in KINDS


def _split(where: str, number: int, text: str) -> Split | None:
    split = split_named(text)
    if split is None and text.strip():
        raise DataError(
            f"{where} says split {units.name(text.strip())!r} in row {number}",
            "write train, validation or test",
        )
    return split


def _by_name(root: Path) -> dict[str, list[Path]]:
    """The images below a folder by their name, and by their name without its ending."""
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in KINDS and path.is_file():
            found.setdefault(path.name, []).append(path)
            found.setdefault(path.stem, []).append(path)
    return found


def _add(tree: Tree, root: Path, file: ImageFile) -> None:
    """Take a file in if it is a picture that can be read."""
    kind = KINDS.get(file.path.suffix.lower())
    if kind is None or (extra := missing(kind)):
        reason = NOT_READ if kind is None else f"{NOT_READ} without the extra {extra}"
        tree.skipped.append(Left(path=file.name, reason=reason))
        return
    try:
        target = target_of(root, file.path)
    except Unfit as unfit:
        tree.refused.append(Left(path=file.name, reason=str(unfit)))
        return
    tree.files.append(replace(file, path=target, kind=kind))
