"""One child process per artifact: start it, listen, and say in one line how it died."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

import harness
from harness.artifacts.cache import writing
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
from harness.core.errors import BuildError, HarnessError, UsageError


def run(
    request: BuildRequest | TrainRequest,
    folder: Path,
    log: Path,
    *,
    tell: Callable[[Step], None],
    timeout_s: float,
    children: Children,
) -> None:
    """Carry out `request` in `folder`, in a process that is one of `children`. Raises what it
    refused with, or BuildError if it died; what it left beside the artifact is removed."""
    work = folder / WORK
    with writing(folder):
        work.mkdir()
        (work / REQUEST).write_bytes(msgspec.json.encode(request))
        stderr = log.open("wb")
    with stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "harness.artifacts.child.main", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=work,
            env=_environment(work),
        )
        timer = threading.Timer(timeout_s, child.kill)
        timer.start()
        assert child.stdout is not None
        try:
            with children.watching(child):
                for line in child.stdout:
                    tell(msgspec.json.decode(line, type=Step))
                status = child.wait()
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            child.kill()
            child.wait()
            child.stdout.close()
    if status != 0:
        _explain(work, log, status, timeout_s if timed_out else None)
    shutil.rmtree(work)


def _explain(work: Path, log: Path, status: int, timed_out_s: float | None) -> NoReturn:
    see = f"the log is {log}"
    try:
        refusal = msgspec.json.decode((work / REFUSAL).read_bytes(), type=Refusal)
    except FileNotFoundError:
        if timed_out_s is not None:
            raise BuildError(f"building took over {timed_out_s:.0f} s", see) from None
        if status < 0:
            raise BuildError(
                f"the TensorFlow process was killed by signal {-status}",
                f"it may have run out of memory; {see}",
            ) from None
        raise BuildError(f"the TensorFlow process ended with status {status}", see) from None
    kind: type[HarnessError] = UsageError if refusal.usage else BuildError
    raise kind(refusal.message, f"{refusal.mend}; {see}" if refusal.mend else see)


def _environment(work: Path) -> dict[str, str]:
    """Ours, so that the child finds this harness, keeps to the CPU, leaves its temporary files
    where they are cleaned up, and computes the same every time."""
    ours = [str(Path(harness.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, ours)),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(work),
        "TEMP": str(work),
        "TMP": str(work),
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
