"""A worker in a process of its own: start it, send one request, read the answer or how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import WorkerError, naming_log
from harness.system import process

WORKER = Path(__file__).with_name("worker.py")
# The threads that numpy starts for itself have nothing to do in a worker, and each of them keeps a
# processor busy for a tenth of a second after the import, while the model is loaded and warmed up.
_NO_THREADS_OF_NUMPY = {"OPENBLAS_NUM_THREADS": "1"}


class _Line(msgspec.Struct):
    """One line of the worker's answer: a stage, and where known how many steps of it are done; the
    result, or an error."""

    stage: str | None = None
    done: int | None = None
    result: dict[str, object] | None = None
    error: dict[str, str] | None = None


def ask(
    request: Mapping[str, object],
    *,
    log: Path,
    timeout_s: float,
    attendant: Attendant | None = None,
    worker: Path = WORKER,
    python: str | None = None,
    told: Callable[[int], None] | None = None,
    if_slow: str = "raise launch_timeout_s in devices.yaml, or lower --iterations",
) -> dict[str, object]:
    """The result of one request, answered by `worker` under this Python, with the packages that
    this process finds, or under another one, `python`, with its own. Raises WorkerError; `if_slow`
    is the fix if it was not ready after `timeout_s`. `told` is called, in another thread, with the
    number of steps done."""
    # Isolated, so that no file beside the worker or in the current folder is taken for a package.
    # Another Python keeps its `pip install --user`, but not our PYTHONPATH.
    command: list[str | Path] = [python, "-E", worker] if python else [sys.executable, "-I", worker]
    path = {} if python else {"path": process.import_path()}
    finished = process.run(
        command,
        stdin=msgspec.json.encode({**request, **path}),
        log=log,
        timeout_s=timeout_s,
        attendant=attendant,
        env={**os.environ, **_NO_THREADS_OF_NUMPY},
        told=None if told is None else lambda line: _tell(line, told),
    )
    return parse_answer(finished, log, timeout_s, if_slow)


def _tell(raw: bytes, told: Callable[[int], None]) -> None:
    try:
        line = msgspec.json.decode(raw, type=_Line)
    except msgspec.DecodeError:
        return  # `_result` says so
    if line.done is not None:
        told(line.done)


def parse_answer(
    finished: process.Finished, log: Path, timeout_s: float, if_slow: str = ""
) -> dict[str, object]:
    """The worker's result, or a WorkerError that says in which stage it ended and how."""
    with naming_log(log):
        return _result(finished, log, timeout_s, if_slow)


def _result(
    finished: process.Finished, log: Path, timeout_s: float, if_slow: str
) -> dict[str, object]:
    stage = "start"
    for raw in finished.stdout.splitlines():
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.DecodeError:
            if finished.timed_out or finished.flooded:
                break  # too much output is the cause; it also cut the line short
            raise WorkerError(
                stage, "the worker printed something that is not a result", f"look at {log}"
            ) from None
        if line.error is not None:
            raise WorkerError(
                line.error.get("stage", stage),
                line.error.get("message", "the worker failed"),
                f"the log is {log}",
            )
        if line.result is not None and finished.returncode == 0:
            return line.result
        stage = line.stage or stage
    if finished.timed_out:
        raise WorkerError(
            stage,
            f"the worker was still in stage {stage!r} after {timeout_s:g} s and was ended",
            if_slow,
        )
    if finished.flooded:
        raise WorkerError(stage, "the worker did not stop printing and was ended", f"look at {log}")
    raise WorkerError(
        stage,
        f"the worker ended in stage {stage!r} without a result ({finished.ending})",
        f"the end of its output is in {log}"
        + (f": {last}" if (last := process.last_line(log)) else "")
        + ("; SIGKILL often means that it ran out of memory" if finished.returncode == -9 else ""),
    )
