"""One child process per artifact: start it, follow its progress, and say in one line how it
failed."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from harness.artifacts.child import forked
from harness.artifacts.child.protocol import (
    REFUSAL,
    REQUEST,
    WORK,
    BuildRequest,
    Refusal,
    Step,
    TrainRequest,
)
from harness.artifacts.side_by_side import Children
from harness.core.errors import BuildError, HarnessError, UsageError, naming_log
from harness.system.files import writing
from harness.system.process import Child, ending, module, python_environment

# Made before there are threads: msgspec crashes if two threads are the first to decode a type.
_STEP = msgspec.json.Decoder(Step)


def run(
    request: BuildRequest | TrainRequest,
    folder: Path,
    log: Path,
    *,
    tell: Callable[[Step], None],
    timeout_s: float,
    children: Children,
) -> None:
    """Carry out `request` in `folder`, in a process that is one of `children`. Raises the error
    that the process reported, or BuildError if it died. Temporary files beside the artifact are
    removed."""
    work = folder / WORK
    with writing(folder):
        work.mkdir()
        (work / REQUEST).write_bytes(msgspec.json.encode(request))
        stderr = log.open("wb")
    with stderr, forked.server as server:
        tell(Step(stage="starting TensorFlow"))
        child = _started(server, folder, work, stderr)
        overdue = threading.Timer(timeout_s, child.kill)
        overdue.start()
        try:
            with children.watching(child):
                for line in child.stdout:
                    tell(_STEP.decode(line))
                status = child.wait()
        finally:
            timed_out = not overdue.is_alive()
            overdue.cancel()
            child.end()
    if status != 0:
        with naming_log(log):
            _explain(work, log, status, timeout_s if timed_out else None)
    shutil.rmtree(work)


def get_ready() -> None:
    """Begin to import TensorFlow, so that the next `run` need not wait for it."""
    forked.server.get_ready(_environment(Path()))


def _started(
    server: forked.ForkServer, folder: Path, work: Path, stderr: IO[bytes]
) -> forked.Forked | Child:
    """A fork, or where that is not possible a new process, which imports TensorFlow itself."""
    environment = _environment(work)
    child = server.start(folder, stderr=stderr, environment=environment)
    if child is not None:
        return child
    return Child(
        module("harness.artifacts.child.main", str(folder)),
        stdin=subprocess.DEVNULL,
        stderr=stderr,
        cwd=work,
        env=environment,
    )


def _explain(work: Path, log: Path, status: int, timed_out_s: float | None) -> NoReturn:
    see = f"the log is {log}"
    try:
        refusal = msgspec.json.decode((work / REFUSAL).read_bytes(), type=Refusal)
    except FileNotFoundError:
        if timed_out_s is not None:
            raise BuildError(f"building took over {timed_out_s:.0f} s", see) from None
        if status < 0:
            raise BuildError(
                f"the TensorFlow process was {ending(status)}",
                f"it may have run out of memory; {see}",
            ) from None
        raise BuildError(f"the TensorFlow process ended with status {status}", see) from None
    kind: type[HarnessError] = UsageError if refusal.usage else BuildError
    raise kind(refusal.message, f"{refusal.fix}; {see}" if refusal.fix else see)


def _environment(work: Path) -> dict[str, str]:
    """The child finds the packages that we find, uses only the CPU, leaves its temporary files
    where they are removed, and computes the same every time."""
    return python_environment(
        PYTHONHASHSEED="0",
        PYTHONUNBUFFERED="1",
        TMPDIR=str(work),
        TEMP=str(work),
        TMP=str(work),
        KERAS_BACKEND="tensorflow",
        CUDA_VISIBLE_DEVICES="-1",
        # The heads are small: threads that wait for each other cost far more than they gain where
        # two children share two processors.
        OPENBLAS_NUM_THREADS="1",
    )
