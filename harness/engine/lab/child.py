"""The process that does one task.

On standard input comes one line, the order; when it closes, the task is to stop or the worker is
gone, for whatever reason: then the task puts back what it changed and ends. On standard output it
writes lines, the first letter of which says what follows: E an event, L how long
it will still take, A the answer, F a failure.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from harness.core.base import Failure, Value
from harness.core.errors import HarnessError, MeasurementError
from harness.engine.lab.depot import Depot

EVENT, LEFT, ANSWER, FAILURE = b"E", b"L", b"A", b"F"


class Desk(Protocol):
    """What a task can use at its host. `folder` is its own: a later task of the same run and name
    finds what the earlier one left. `cache` is the host's. `stopping` is set when it is to end."""

    folder: Path
    cache: Path
    stopping: threading.Event

    def file(self, sha256: str) -> Path:
        """One of the files that the task asked for."""

    def keep(self, path: Path, sha256: str) -> None:
        """Offer a file of this host under its digest."""

    def say(self, event: bytes) -> None:
        """Send an event, JSON, to the client of the task."""

    def expects(self, left_s: float) -> None:
        """Say how long it will still take, for tasks that wait for what it uses."""


class Order(Value, frozen=True):
    """What the child is to do: the function, its arguments, its folder, and the host's cache."""

    function: str
    arguments: msgspec.Raw
    folder: str
    cache: str


class DeskHere:
    """A Desk whose events go to `tell`, and what it expects to `expects`."""

    def __init__(
        self,
        folder: Path,
        cache: Path,
        tell: Callable[[bytes], None],
        expects: Callable[[float], None],
    ) -> None:
        self.folder = folder
        self.cache = cache
        self.stopping = threading.Event()
        self._depot = Depot(cache)
        self._tell = tell
        self._expects = expects

    def file(self, sha256: str) -> Path:
        """See Desk."""
        return self._depot.path(sha256)

    def keep(self, path: Path, sha256: str) -> None:
        """See Desk."""
        self._depot.add(path, sha256)

    def say(self, event: bytes) -> None:
        """See Desk."""
        self._tell(event)

    def expects(self, left_s: float) -> None:
        """See Desk."""
        self._expects(left_s)


def do(order: Order, desk: Desk) -> bytes | Failure:
    """Call the function; returns its answer or why there is none. Only functions of the harness are
    called."""
    module, _, name = order.function.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        answer: bytes = function(bytes(order.arguments), desk)
        return answer
    except MeasurementError as error:
        return error.failure
    except HarnessError as error:
        return Failure(stage="lab", transient=False, message=error.message, fix=error.fix)


def main() -> None:
    """Do the one task."""
    out, lock = sys.stdout.buffer, threading.Lock()
    sys.stdout = sys.stderr  # other output must not mix with the lines

    def tell(letter: bytes, data: bytes) -> None:
        with lock:
            out.write(letter + data + b"\n")
            out.flush()

    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    gone = threading.Event()

    def line(letter: bytes, data: bytes) -> None:
        # Without a worker there is no reader; what was measured is in the folder.
        try:
            tell(letter, data)
        except OSError:
            gone.set()

    def event(data: bytes) -> None:
        line(EVENT, data)

    def expects(left_s: float) -> None:
        line(LEFT, str(left_s).encode())

    desk = DeskHere(Path(order.folder), Path(order.cache), event, expects)
    threading.Thread(target=_watch, args=(sys.stdin.buffer, desk.stopping), daemon=True).start()
    done = do(order, desk)
    try:
        if isinstance(done, Failure):
            tell(FAILURE, msgspec.json.encode(done))
        else:
            tell(ANSWER, done)
    except OSError:
        pass


def _watch(stdin: BinaryIO, stopping: threading.Event) -> None:
    stdin.read()
    stopping.set()


if __name__ == "__main__":
    main()
