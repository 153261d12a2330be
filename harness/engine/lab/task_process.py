"""A task in a process of its own, as the worker sees it: `child.py` is the other side."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.core.base import Failure
from harness.core.text import clean
from harness.engine.lab.child import ANSWER, EVENT, FAILURE, LEFT, Order
from harness.engine.lab.protocol import Outcome
from harness.system import process
from harness.system.process import Child

POLL_S = 0.5


def done(
    order: Order,
    log: Path,
    tell: Callable[[bytes], None],
    expects: Callable[[float], None],
    wanted: Callable[[], bool],
) -> Outcome:
    """The outcome of the order. `tell` is called with its events, `expects` with how many seconds
    it will still take; once it is no longer `wanted`, the task is asked to end."""
    with log.open("ab") as errors:
        child = Child(
            process.module("harness.engine.lab.child"),
            stderr=errors,
            stdin=subprocess.PIPE,
            env=process.python_environment(),
        )
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            if not wanted():
                child.close_input()  # which tells it to end
                return

    child.stdin.write(msgspec.json.encode(order) + b"\n")
    child.stdin.flush()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    outcome = None
    try:
        for line in child.stdout:
            letter, data = line[:1], line[1:-1]
            if letter == EVENT:
                tell(data)
            elif letter == LEFT:
                expects(float(data))
            elif letter == ANSWER:
                outcome = Outcome(answer=data.decode())
            elif letter == FAILURE:
                outcome = Outcome(failure=msgspec.json.decode(data, type=Failure))
        child.wait()
    finally:
        ended.set()
        watcher.join()
        child.end()
    if outcome is not None:
        return outcome
    said = process.last_line(log)
    return Outcome(
        failure=lost(f"the task's process ended: {process.ending(child.returncode)} {said}")
    )


def lost(message: str) -> Failure:
    """Why a task was not finished, for reasons that are not the fault of the task."""
    return Failure(
        stage="lab",
        transient=True,
        message=clean(message, 300),
        fix="go on with --resume; CACHE/lab/work on the host has the log",
    )
