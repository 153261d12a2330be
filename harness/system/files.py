"""Where things are kept between runs, and files that are written whole or not at all."""

from __future__ import annotations

# hashlib, shutil and tempfile are imported where they are used: --help needs none of them.
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import UsageError

NAME = "mobile-bench-harness"


def cache_dir() -> Path:
    """MOBILE_BENCH_CACHE, else the user's cache folder on this system; for a user without a home
    folder, one for each user below the folder of temporary files. Raises UsageError if
    MOBILE_BENCH_CACHE names a file."""
    if chosen := os.environ.get("MOBILE_BENCH_CACHE"):
        if expanded(chosen).is_file():
            raise UsageError(f"MOBILE_BENCH_CACHE: {chosen} is not a folder", "name a folder")
        return expanded(chosen)
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir(NAME, appauthor=False, opinion=False))
    except RuntimeError:  # no home folder; before 4.12 the `~` stays in the path
        return _temporary_cache()
    return _temporary_cache() if "~" in folder.parts else folder


def _temporary_cache() -> Path:
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid == user and folder.is_dir() and not folder.is_symlink():
            return folder
    raise UsageError(
        f"there is no home folder, and {folder} is not a folder of this user's own",
        "name a folder for the cache with MOBILE_BENCH_CACHE",
    )


def home() -> Path | None:
    """The user's home folder; None without HOME and without an entry in the list of users."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expanded(path: str | Path) -> Path:
    """`path` with the user's home folder in place of `~`. Raises UsageError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f"the home folder in {path} is not known", "set HOME, or write the path without ~"
        ) from None


def current_folder() -> Path | None:
    """The folder we work in; None if it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def in_folder(folder: Path, path: str) -> Path:
    """`path` as written in a file of `folder`: a relative one is meant from there, ~ is home. Links
    are kept, since a virtual environment's Python is one."""
    return folder.absolute() / expanded(path)


def write_atomic(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write `path` so that a reader sees the old file or the whole new one, even after a crash;
    without `flush` a power cut may leave it torn, which its reader must notice."""
    with replacing(path, flush=flush) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[BinaryIO]:
    """A file to write to. It becomes `path` if all goes well and is removed otherwise; for data
    that is too large to be in memory twice. See `write_atomic`."""
    import tempfile

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
    """Like `replacing`, with the file's digest beside it, so that `intact` notices later damage."""
    with replacing(path) as file:
        yield file
    seal(path, sha256(path))


def seal(path: Path, digest: str) -> None:
    """Put the SHA-256 of a file beside it, for `intact`."""
    write_atomic(_seal(path), digest.encode())


def linked(source: Path, target: Path) -> None:
    """The same file at `target` too, without another copy where that is possible; a file that is
    there already stays."""
    with contextlib.suppress(FileExistsError):
        try:
            target.hardlink_to(source)
        except FileExistsError:
            raise
        except OSError:  # on another disk, or on a file system without links
            import shutil

            with replacing(target) as out, source.open("rb") as file:
                shutil.copyfileobj(file, out)


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
    import hashlib

    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """An error while writing to `folder`, such as a full disk, becomes a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror or error}",
            "make room there or make it writable",
        ) from None
