"""A lock between processes that the operating system releases when its holder dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.core.errors import BuildError

_POLL_S = 0.05


@contextmanager
def lock(
    path: Path,
    waiting: Callable[[], None] | None = None,
    stopping: threading.Event | None = None,
) -> Iterator[None]:
    """Hold the lock file `path`; while another holds it, wait, calling `waiting` once. Raises
    BuildError if `stopping` is set meanwhile."""
    handle = _open(path)
    try:
        told = False
        while not _acquire(handle):
            if waiting and not told:
                waiting()
                told = True
            if stopping and stopping.is_set():
                raise BuildError("stopped while waiting for another that builds the same")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)  # and with it the lock


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Like `lock`, but does not wait; yields whether the lock is held."""
    handle = _open(path)
    try:
        yield _acquire(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _acquire(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
