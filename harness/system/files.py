"""Where things are kept between runs, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def cache_dir() -> Path:
    """MOBILE_BENCH_CACHE, else the user's cache folder as the system has it."""
    if chosen := os.environ.get("MOBILE_BENCH_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mobile-bench-harness"


def write_atomic(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write `path` so that a reader sees the old file or the whole new one, even after a crash;
    without `flush` a power cut may leave it torn, which its reader must notice."""
    with replacing(path, flush=flush) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that becomes `path` when all went well, and else leaves no trace; for
    what is too large to be in memory twice. See `write_atomic`."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


@contextlib.contextmanager
def sealing(path: Path) -> Iterator[BinaryIO]:
    """As `replacing`, with the file's digest beside it, so that `intact` notices later damage."""
    with replacing(path) as file:
        yield file
    write_atomic(_seal(path), sha256(path).encode())


def intact(path: Path) -> bool:
    """Whether `path` is there and is what `sealing` put there."""
    try:
        return _seal(path).read_bytes() == sha256(path).encode()
    except OSError:
        return False


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def sha256(path: str | Path) -> str:
    """Hexadecimal digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
