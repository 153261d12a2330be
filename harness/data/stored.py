"""The arrays of a data set as files in the cache, written once and shared by all readers.

CACHE/data/DIGEST/images.npy    grey, uint8 (n, 256, 256)
CACHE/data/DIGEST/colours.npy   red, green and blue, uint8 (n, 256, 256, 3), where there are any

DIGEST follows from the split's fingerprint. Writing keeps one picture in memory, and the arrays
are mapped, so that a data set may be larger than the memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.system import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def folder_of(cache: Path, fingerprint: str) -> Path:
    """Where the arrays of the split with this fingerprint are kept."""
    return cache.absolute() / "data" / hashlib.sha256(fingerprint.encode()).hexdigest()


def mapped(path: Path, pictures: Iterable[NDArray[np.uint8]], shape: tuple[int, ...]) -> Any:
    """The array at `path`, mapped and not read; written first, picture by picture, if it is missing
    or damaged. `shape` is the array's; `pictures` are read only if they are needed.

    Raises UsageError if the cache cannot be written to.
    """
    import numpy as np

    if not _intact(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.sealing(path) as file:
                head = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, head)
                for picture in pictures:
                    file.write(np.ascontiguousarray(picture).tobytes())
        except OSError as error:
            raise unwritable(path.parent, error) from None
    return np.load(path, mmap_mode="r", allow_pickle=False)


def unwritable(folder: Path, error: OSError) -> UsageError:
    """The error for a cache that cannot be written to; the user has to fix that."""
    return UsageError(
        f"cannot write to {folder}: {error.strerror or error}",
        "make room there or make it writable, or set MOBILE_BENCH_CACHE",
    )


@lru_cache(maxsize=64)
def _checked(path: Path, size: int, written_ns: int) -> bool:
    return files.intact(path)


def _intact(path: Path) -> bool:
    """Whether the file is whole; checked once per process, and again when the file has changed."""
    try:
        facts = path.stat()
    except OSError:
        return False
    return _checked(path, facts.st_size, facts.st_mtime_ns)
