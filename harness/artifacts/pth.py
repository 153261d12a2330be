"""PyTorch weights files (.pth) read with numpy alone; a file from an untrusted source cannot run
code.

Both containers are read. The old one (before PyTorch 1.6) is a row of pickles: a magic number, a
protocol, facts about the machine, the dictionary, the storage keys; then each storage as its
length (int64, little endian) and its numbers. The new one is a zip archive with `data.pkl` and a
file `data/KEY` for each storage. In both the dictionary's tensors name their storages by a
persistent id. Source: torch/serialization.py.

A pickle can name any function and call it. Here only three names have a meaning: the ordered
dictionary, the rebuilding of a tensor, and the storages. Every other name is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# The numbers of each kind of storage, little endian.
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
# Far more objects than the names and shapes of any network need.
_MOST_OBJECTS = 10**6


class _Refused(Exception):
    """Why the file is not read."""


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> dict[str, Array]:
    """The tensors of a state dictionary by name, in the file's order and types.

    Raises UsageError for a file that is not a PyTorch state dictionary, names anything but
    tensors, or whose sizes do not agree.
    """
    try:
        return _from_zip(path) if zipfile.is_zipfile(path) else _from_pickles(path)
    except _Refused as error:
        reason = str(error)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, MemoryError) as error:
        reason = f"it is broken ({error or type(error).__name__})"
    except Exception as error:
        # A pickle made to do harm can make the unpickler raise anything.
        reason = f"it is broken ({type(error).__name__}: {error})"
    raise UsageError(
        f"{path} is not read as PyTorch weights: {reason}",
        "give a file that torch.save(model.state_dict(), FILE) wrote",
    )


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _STORAGES:
            return name
        raise _Refused(f"it names {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), str(), int(count), *view) if (
                kind in _STORAGES and count >= 0 and view in ([], [None])
            ):
                return _Storage(key, kind, count)
        raise _Refused(f"it names a storage in an unknown way: {str(pid)[:80]}")


def _rebuild(
    storage: object, offset: object, shape: object, strides: object, *unused: object
) -> _Tensor:
    """The arguments of `torch._utils._rebuild_tensor_v2`, kept until the numbers have been read."""
    match (storage, offset, shape, strides):
        case (_Storage(), int(start), tuple(extents), tuple(steps)) if len(extents) == len(
            steps
        ) and all(type(n) is int and n >= 0 for n in (start, *extents, *steps)):
            return _Tensor(storage, start, extents, steps)
    raise _Refused("it holds a tensor without a proper shape")


def _from_pickles(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        if _load(file) != _MAGIC:
            raise _Refused("its magic number is not PyTorch's")
        if _load(file) != _PROTOCOL:
            raise _Refused("its protocol is not 1001")
        machine = _load(file)
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise _Refused("it was written on a big-endian machine")
        tensors = _checked(_load(file))
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        keys = _load(file)
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
            raise _Refused("its list of storages does not agree with its tensors")
        numbers = {}
        for key in keys:
            count = int.from_bytes(file.read(8), "little", signed=True)
            if count != storages[key].count:
                raise _Refused(f"storage {key} has {count} numbers, not {storages[key].count}")
            numbers[key] = _numbers(storages[key], file)
        if file.read(1):
            raise _Refused("there are data after its last storage")
    return {name: _array(tensor, numbers, name) for name, tensor in tensors.items()}


def _from_zip(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "data.pkl" not in entries:
            raise _Refused("it is a zip archive without data.pkl")
        if any(info.file_size > path.stat().st_size for info in entries.values()):
            raise _Refused("it is compressed, which PyTorch's files are not")
        if "byteorder" in entries and archive.read(entries["byteorder"]).strip() != b"little":
            raise _Refused("it was written on a big-endian machine")
        tensors = _checked(_load(io.BytesIO(archive.read(entries["data.pkl"]))))
        numbers = {}
        for storage in {tensor.storage.key: tensor.storage for tensor in tensors.values()}.values():
            entry = entries.get(f"data/{storage.key}")
            if entry is None:
                raise _Refused(f"storage {storage.key} is missing")
            with archive.open(entry) as file:
                numbers[storage.key] = _numbers(storage, file)
                if file.read(1):
                    raise _Refused(f"storage {storage.key} has more than {storage.count} numbers")
    return {name: _array(tensor, numbers, name) for name, tensor in tensors.items()}


def _load(file: IO[bytes]) -> Any:
    """The next pickle of `file`."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # The unpickler makes room for all numbers below this one, whether they are used or not.
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > _MOST_OBJECTS:
            raise _Refused("it asks for more memory than weights need")
    file.seek(start)
    return _Unpickler(file).load()


def _checked(loaded: object) -> Mapping[str, _Tensor]:
    if not isinstance(loaded, dict) or not loaded:
        raise _Refused(f"it holds {type(loaded).__name__}, not names with tensors")
    seen: dict[str, _Storage] = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            what = type(value).__name__.lstrip("_")
            raise _Refused(f"{name!r} is {what}, not a tensor")
        if seen.setdefault(value.storage.key, value.storage) != value.storage:
            raise _Refused(f"storage {value.storage.key} is described in two different ways")
    return loaded


def _numbers(storage: _Storage, file: IO[bytes]) -> Array:
    import numpy as np

    kind = np.dtype(_STORAGES[storage.kind])
    # In pieces, so that a count that the file does not hold takes no memory.
    wanted, pieces = storage.count * kind.itemsize, []
    while wanted:
        piece = file.read(min(wanted, 2**24))
        if not piece:
            raise _Refused(f"it ends within storage {storage.key}")
        pieces.append(piece)
        wanted -= len(piece)
    return np.frombuffer(b"".join(pieces), kind)


def _array(tensor: _Tensor, numbers: Mapping[str, Array], name: str) -> Array:
    import numpy as np

    flat = numbers[tensor.storage.key]
    count = 1
    for extent in tensor.shape:
        count *= extent
    last = tensor.offset + sum(
        (extent - 1) * step for extent, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if count > flat.size or (count and last >= flat.size):
        raise _Refused(f"{name} needs more numbers than its storage has")
    if not count:
        return np.empty(tensor.shape, flat.dtype)
    strides = [step * flat.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return view.copy()
