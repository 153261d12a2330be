"""Locks between processes, which the operating system releases when their holder dies.

The package portalocker makes the system calls; this module waits and words the errors.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.core.errors import BuildError, UsageError

_POLL_S = 0.05


def take(file: IO[bytes], *, shared: bool = False) -> bool:
    """Try to lock an open file until it is closed, alone or `shared` with others that do the
    same; whether it is locked now. Raises UsageError where the file system has no locks."""
    from portalocker import LockFlags
    from portalocker import lock as lock_file
    from portalocker.exceptions import AlreadyLocked, LockException

    kind = LockFlags.SHARED if shared else LockFlags.EXCLUSIVE
    try:
        lock_file(file, kind | LockFlags.NON_BLOCKING)
    except AlreadyLocked:
        return False
    except LockException as error:
        raise UsageError(
            f"{file.name} cannot be locked: {error}",
            "its file system may have no locks; choose a folder on a local disk",
        ) from error
    return True


def wait_for(
    file: IO[bytes],
    *,
    shared: bool = False,
    waiting: Callable[[], None] | None = None,
    stopping: threading.Event | None = None,
) -> None:
    """Like `take`, but wait while another process holds the lock, and call `waiting` once. Raises
    BuildError if `stopping` is set meanwhile."""
    while not take(file, shared=shared):
        if waiting:
            waiting()
            waiting = None
        if stopping and stopping.is_set():
            raise BuildError("stopped while waiting for another process that builds the same")
        time.sleep(_POLL_S)


@contextmanager
def lock(
    path: Path,
    waiting: Callable[[], None] | None = None,
    stopping: threading.Event | None = None,
    *,
    shared: bool = False,
) -> Iterator[None]:
    """Hold the lock file `path`, which is made if it is missing and stays; see `wait_for`."""
    with opened(path) as file:
        wait_for(file, shared=shared, waiting=waiting, stopping=stopping)
        yield


@contextmanager
def try_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Like `lock`, but does not wait; yields whether the lock is held."""
    with opened(path) as file:
        yield take(file, shared=shared)


def opened(path: Path) -> IO[bytes]:
    """The lock file, made if it is missing; closing it releases its lock. A lock file of another
    user that we may only read can be locked too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError:
        if not path.is_file():
            raise
        return path.open("rb")
