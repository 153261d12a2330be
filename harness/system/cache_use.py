"""Which programs use the cache, so that nothing is removed that a running one needs.

CACHE/users/PID-*        locked by a running program, from its first use of the cache to its end
CACHE/locks/removing     shared while a use is noted, exclusive while deciding what to remove
ENTRY/used-by            the variants that an entry served; written to when it serves one
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from harness.core.errors import UsageError
from harness.core.text import clean
from harness.system import files, locks

USED_BY = "used-by"
_USERS = "users"
_MOST_NAMES = 50

_leases: dict[Path, IO[bytes]] = {}
_lock = threading.Lock()


class User(NamedTuple):
    """A program that uses the cache since `since`, in seconds since 1970."""

    pid: int
    command: str
    since: float


def cache_in_use() -> Path:
    """The cache folder. Until this process ends, nothing that it may need is removed from the
    cache."""
    cache = files.cache_dir()
    with _lock, contextlib.suppress(OSError, UsageError):  # a read-only cache is usable
        if cache not in _leases:
            with _noting(cache):
                _leases[cache] = _lease(cache)
    return cache


def _lease(cache: Path) -> IO[bytes]:
    folder = cache / _USERS
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", dir=folder)
    file = os.fdopen(handle, "r+b", buffering=0)
    locks.take(file)
    file.write(shlex.join(sys.argv[1:]).encode("utf-8", "replace"))
    atexit.register(_leave, file, Path(name))
    return file


def _leave(file: IO[bytes], path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def users(cache: Path) -> list[User]:
    """The other programs that use the cache. Files of programs that were killed are removed."""
    found = []
    for path in sorted((cache / _USERS).glob("[0-9]*-*")):
        pid = int(path.name.partition("-")[0])
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError), path.open("r+b") as file:
            if locks.take(file):
                path.unlink()
            else:
                command = clean(file.read(1000), 100)
                found.append(User(pid, command, path.stat().st_mtime))
    return found


def note_use(cache: Path, entry: Path, by: str) -> None:
    """Note that the variant `by` is about to use the folder `entry`. If it is there, it is kept
    until this process ends; without a call of `cache_in_use` before, only the time is noted."""
    with contextlib.suppress(OSError, UsageError), _noting(cache):
        if not entry.is_dir():
            return
        names = dict.fromkeys([by, *used_by(entry)])
        files.write_atomic(
            entry / USED_BY, "\n".join(list(names)[:_MOST_NAMES]).encode(), flush=False
        )


def used_by(entry: Path) -> list[str]:
    """The variants that an entry served, the latest first."""
    try:
        return (entry / USED_BY).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


@contextlib.contextmanager
def removing(cache: Path) -> Iterator[None]:
    """While inside, no other process can note a use or begin to use the cache."""
    with locks.lock(cache / "locks" / "removing"):
        yield


@contextlib.contextmanager
def _noting(cache: Path) -> Iterator[None]:
    with locks.lock(cache / "locks" / "removing", shared=True):
        yield
