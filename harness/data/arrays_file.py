"""Images in one `.npz` file: `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test` as Keras's
data sets have them. Arrays are read picture by picture, never as a whole."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core import units
from harness.core.data import Left, Split
from harness.core.errors import DataError
from harness.data import depth
from harness.data.decode import Picture, Refused, from_array
from harness.data.listed import in_order
from harness.data.tree import ImageFile, Tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAIRS: tuple[tuple[str, str, Split | None], ...] = (
    ("x_train", "y_train", "train"),
    ("x_val", "y_val", "validation"),
    ("x_validation", "y_validation", "validation"),
    ("x_test", "y_test", "test"),
    ("train_images", "train_labels", "train"),
    ("val_images", "val_labels", "validation"),
    ("test_images", "test_labels", "test"),
    ("x", "y", None),
    ("images", "labels", None),
    ("data", "labels", None),
    ("arr_0", "arr_1", None),
)
_NAMES = ("classes", "class_names", "label_names")
_FIX = "save it with numpy.savez(file, x=pictures, y=labels)"


class _Part(NamedTuple):
    """One array of pictures: (n, height, width) or (n, height, width, channels)."""

    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: list[str]
    split: Split | None


def look(path: Path, keep: Callable[[ImageFile, Picture], None]) -> Tree:
    """What the file holds. `keep` gets every picture, in order.

    Raises DataError if the file cannot be used.
    """
    where = units.name(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return _look(path, archive, keep)
    except FileNotFoundError:
        raise DataError(f"there is no file {where}", "give a folder of images, or demo") from None
    except OSError as error:
        raise DataError(
            f"{where} cannot be read: {error.strerror or error}", "make it readable"
        ) from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{where} is not an .npz file: {error}", _FIX) from None
    except (MemoryError, OverflowError, RuntimeError) as error:  # encrypted: a RuntimeError
        said = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{where} cannot be read: {said}", _FIX) from None


def _look(path: Path, archive: zipfile.ZipFile, keep: Callable[[ImageFile, Picture], None]) -> Tree:
    where = units.name(str(path))
    members = {Path(name).stem.lower(): name for name in archive.namelist()}
    pairs = [pair for pair in _PAIRS if pair[0] in members and pair[1] in members]
    if not pairs:
        raise DataError(f"{where} holds {', '.join(members) or 'nothing'}, not x and y", _FIX)
    names = next((_array(archive, members[n]) for n in _NAMES if n in members), None)
    parts = [_part(where, archive, members, pair, names) for pair in pairs]
    found = {label for part in parts for label in part.labels}
    known = [] if names is None else _texts(names)
    tree = Tree(
        # The file's own order of classes is that of the outputs of a network trained on it.
        classes=tuple(dict.fromkeys(name for name in known if name in found))
        if found <= {*known}
        else in_order(found),
        splits={part.split: Path(part.member).stem for part in parts if part.split},
    )
    if len(tree.classes) < 2:
        raise DataError(f"{where} holds one class only", "give pictures of two or more classes")
    if tree.splits and "train" not in tree.splits:
        raise DataError(f"{where} has no pictures for training", "add x_train and y_train")
    for part in parts:
        used = _range(archive, part) if _needs_range(part) else None
        with _rows(archive, part) as rows:
            for place, (pixels, label) in enumerate(zip(rows, part.labels, strict=True)):
                name = f"{Path(part.member).stem}[{place}]"
                try:
                    shown = pixels if used is None else depth.eight_bits(pixels, used)
                    picture = from_array(shown)
                except Refused as refused:
                    tree.refused.append(Left(path=name, reason=str(refused)))
                    continue
                keep(ImageFile(name, path, "ARRAY", label, part.split), picture)
    return tree


def _part(
    where: str,
    archive: zipfile.ZipFile,
    members: dict[str, str],
    pair: tuple[str, str, Split | None],
    names: NDArray[Any] | None,
) -> _Part:
    x, y, split = pair
    with archive.open(members[x]) as stream:
        shape, fortran, dtype = _header(stream)
    if dtype.kind not in "buif" or fortran:
        order = " in Fortran order" if fortran else ""
        raise DataError(f"{where}: {x} is of {dtype}{order}, which cannot be read", _FIX)
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))) or 0 in shape:
        said = "x".join(map(str, shape))
        raise DataError(
            f"{where}: {x} has the shape {said}",
            "pictures are (n, height, width) or (n, height, width, 1 or 3)",
        )
    labels = _labels(where, y, _array(archive, members[y]), names)
    if len(labels) != shape[0]:
        raise DataError(f"{where}: {shape[0]} pictures and {len(labels)} labels", _FIX)
    return _Part(members[x], shape, dtype, labels, split)


def _labels(where: str, y: str, values: NDArray[Any], names: NDArray[Any] | None) -> list[str]:
    import numpy as np

    if values.ndim == 2 and values.shape[1] > 1:
        if not (np.count_nonzero(values, axis=1) == 1).all():
            raise DataError(f"{where}: {y} has rows that are not one-hot", _FIX)
        values = values.argmax(axis=1)
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        if not (values == np.rint(values)).all():
            raise DataError(
                f"{where}: {y} holds {values.dtype} labels that are not whole numbers", _FIX
            )
        values = values.astype(np.int64)
    if names is not None and values.dtype.kind in "iu":
        if values.min() < 0 or values.max() >= len(names):
            raise DataError(f"{where}: {y} has labels beyond its {len(names)} class names", _FIX)
        values = names[values]
    return _texts(values)


def _texts(values: NDArray[Any]) -> list[str]:
    import numpy as np

    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return [units.name(str(value)) for value in values.reshape(-1).tolist()]


def _array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    import numpy as np

    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    import numpy as np

    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    return shape, fortran, dtype


@contextmanager
def _rows(archive: zipfile.ZipFile, part: _Part) -> Iterator[Iterator[NDArray[Any]]]:
    """The pictures of an array, one by one."""
    import numpy as np

    shape = part.shape[1:]
    size = int(np.prod(shape)) * part.dtype.itemsize

    def each(stream: Any) -> Iterator[NDArray[Any]]:
        for _ in range(part.shape[0]):
            data = stream.read(size)
            if len(data) < size:
                raise EOFError("it is cut short")
            yield np.frombuffer(data, part.dtype).reshape(shape)

    with archive.open(part.member) as stream:
        _header(stream)
        yield each(stream)


def _needs_range(part: _Part) -> bool:
    """Whether the pictures have a depth to be found out; colours of more than eight bits are
    reduced to eight at once."""
    return len(part.shape) == 4 and part.shape[3] > 1 and part.dtype.str[1:] != "u1"


def _range(archive: zipfile.ZipFile, part: _Part) -> depth.Range:
    with _rows(archive, part) as rows:
        extremes = [(float(pixels.min()), float(pixels.max())) for pixels in rows]
    return depth.range_of(extremes, whole=part.dtype.kind in "iu")
