"""Trials until there are enough of them, the time is up or nothing is left to try."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol

from harness.core.errors import HarnessError, StorageError
from harness.core.search import Trial
from harness.core.text import clean
from harness.engine import Ending, Engine
from harness.engine.local import LocalEngine
from harness.search.study import Asked, Study, Watched
from harness.system import causes

# If the first trials all fail, so will the others.
HOPELESS_AFTER = 5

StopReason = Literal["trials", "time_budget", "exhausted", "interrupted", "failed"]


class Stopped(Exception):
    """A training was ended early, because others had learned more after the same number of
    epochs."""


class OutOfTime(Exception):
    """The time is up, or the user interrupted: the trial stays unfinished."""


class Objective(Protocol):
    """Tries one candidate."""

    def __call__(self, asked: Asked, study: Watched, stop: Stop) -> Trial:
        """The finished trial. Raises Stopped, OutOfTime if `stop` says so, or HarnessError, which
        makes it a failed trial."""

    def end(self) -> None:
        """End what is under way; from any thread."""


Trying = Callable[[Asked, Watched, "Stop"], Trial]
Complete = Callable[[Trial, Watched, "Stop"], Trial]


class Stop:
    """Whether to end: `deadline` is by the monotonic clock, None for never."""

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.interrupted = threading.Event()

    @property
    def now(self) -> bool:
        """Whether it is time."""
        late = self.deadline is not None and time.monotonic() >= self.deadline
        return late or self.interrupted.is_set()

    def check(self) -> None:
        """Raise OutOfTime if it is time."""
        if self.now:
            raise OutOfTime


class Loop:
    """Does trials; several workers share it."""

    def __init__(
        self,
        study: Study,
        objective: Objective,
        *,
        trials: int | None,
        stop: Stop,
        told: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        self.study, self.objective, self.stop = study, objective, stop
        self._most, self._told = trials, told
        self._lock = threading.Lock()
        self._begun = sum(t.state != "unfinished" for t in study.trials())
        self.reason: StopReason | None = None
        self.error: HarnessError | None = None

    def next(self) -> Asked | None:
        """The next trial; None if there is to be no more."""
        with self._lock:
            if self.reason is not None:
                return None
            self.reason = self._why_end()
            if self.reason is not None:
                return None
            try:
                asked = self.study.ask()
            except StorageError as error:
                self.error, self.reason = error, "failed"
                return None
            if asked is None:
                self.reason = "exhausted"
                return None
            self._begun += 1
            return asked

    def _why_end(self) -> StopReason | None:
        if self.stop.now:
            return "interrupted" if self.stop.interrupted.is_set() else "time_budget"
        enough = self._most is not None and self._begun >= self._most
        return "trials" if enough else None

    def do(
        self, asked: Asked, trying: Trying | None = None, began: float | None = None
    ) -> Trial | None:
        """Do one trial in this process, or the rest of one that `began` elsewhere, and save it;
        None if it stays unfinished."""
        began = time.monotonic() if began is None else began
        try:
            trial = (trying or self.objective)(asked, self.study, self.stop)
        except OutOfTime:
            return None
        except StorageError as error:
            self.fail(error)
            return None
        except KeyboardInterrupt:
            self.stop.interrupted.set()
            raise
        except Exception as error:
            if self.stop.now:
                return None  # it failed because it was being ended
            if _disk_is_full(error):
                self.fail(StorageError(str(error), "free some space, then go on with --resume"))
                return None
            if isinstance(error, HarnessError):
                causes.tell(error)
            trial = failed(asked, error)
        took_s = time.monotonic() - began
        return self.finish(asked, trial, took_s)

    def finish(self, asked: Asked, trial: Trial, took_s: float) -> Trial | None:
        """Save a trial."""
        import msgspec

        trial = msgspec.structs.replace(trial, took_s=took_s)
        try:
            self.study.tell(asked, trial)
        except StorageError as error:
            self.fail(error)
            return None
        self._told(trial)
        tried = self.study.trials()
        ended = [t for t in tried if t.state != "unfinished"]
        if len(ended) >= HOPELESS_AFTER and all(t.state == "failed" for t in ended):
            self.fail(
                HarnessError(f"all of the first {len(ended)} trials failed: {ended[-1].reason}")
            )
        return trial

    def fail(self, error: HarnessError) -> None:
        """End the search with this error."""
        with self._lock:
            self.error = self.error or error
            self.reason = "failed"
        self.stop.interrupted.set()
        self.objective.end()


def _disk_is_full(error: BaseException) -> bool:
    """Whether a full disk is why a trial failed, in this process or in one that it started. The
    next trial would fail as well, and this one is to be resumed."""
    return os.strerror(errno.ENOSPC) in str(error)


def failed(asked: Asked, error: BaseException) -> Trial:
    """The trial as failed, with the error as its reason."""
    said = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
    return Trial(
        number=asked.number,
        candidate=asked.candidate,
        params=asked.params,
        state="failed",
        reason=clean(said, 300),
    )


class Worker:
    """Does trials in this process, one after the other; a Work of an engine."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def run(self) -> Ending:
        """See Work."""
        while (asked := self._loop.next()) is not None:
            try:
                self._loop.do(asked)
            except KeyboardInterrupt:
                self._loop.next()  # keeps why it ended
                return "interrupted"
        return "interrupted" if self._loop.reason == "interrupted" else "done"

    def stop(self) -> None:
        """See Work."""
        self._loop.stop.interrupted.set()
        self._loop.objective.end()


def run(loop: Loop, workers: int, engine: Engine | None = None) -> StopReason:
    """Do trials with this many workers; the answer is why it ended. Raises the error that ended
    it."""
    engine = engine or LocalEngine()
    for place in range(workers):
        engine.submit(Worker(loop), f"worker {place + 1}")
    engine.gather()
    if loop.error is not None:
        raise loop.error
    return loop.reason or "interrupted"
