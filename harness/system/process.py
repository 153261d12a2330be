"""Starting a child process that may crash, hang or talk without end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.attendant import Attendant

POLL_S = 0.5
_PR_SET_PDEATHSIG = 1
MAX_OUTPUT_BYTES = 64 * 2**20


class Finished(NamedTuple):
    """How a child ended. `returncode` is negative for a signal, as in subprocess."""

    returncode: int
    stdout: bytes
    timed_out: bool = False
    flooded: bool = False

    @property
    def ending(self) -> str:
        """'exit status 3', 'killed by SIGSEGV'."""
        if self.returncode >= 0:
            return f"exit status {self.returncode}"
        try:
            return f"killed by {signal.Signals(-self.returncode).name}"
        except ValueError:
            return f"killed by signal {-self.returncode}"


def run(
    command: Sequence[str | Path],
    *,
    stdin: bytes,
    log: Path,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    attendant: Attendant | None = None,
    dies_with_us: bool = False,
) -> Finished:
    """Run `command` in a session of its own until it ends, `timeout_s` passes or it has written
    MAX_OUTPUT_BYTES; its standard error is appended to `log`. Whatever ends this call, Ctrl-C
    and the attendant included, ends the child and its children too. Where nobody is left to end
    it, as after SIGKILL, a child that `dies_with_us` is ended by the kernel (Linux; for programs
    that start no threads before)."""
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [os.fspath(c) for c in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=die_with_parent if dies_with_us else None,  # noqa: PLW1509
        )
    output = bytearray()
    flooded = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        while chunk := child.stdout.read1(65536):  # type: ignore[attr-defined]
            output.extend(chunk)
            if len(output) > MAX_OUTPUT_BYTES:
                flooded.set()
                _kill(child)
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(stdin)
            child.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        timed_out = not _wait(child, timeout_s, attendant or Attendant())
    finally:
        _kill(child)
        child.wait()
        reader.join(5)
        if child.stdout is not None and not reader.is_alive():
            child.stdout.close()
    return Finished(child.returncode, bytes(output), timed_out, flooded.is_set())


def die_with_parent() -> None:
    """To be called in a child before it becomes another program: the kernel kills it as soon as
    its parent is gone, however that went."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: subprocess.Popen[bytes], timeout_s: float, attendant: Attendant) -> bool:
    """Whether the child ended in time; raises KeyboardInterrupt if it is to stop before."""
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        attendant.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(min(left, POLL_S))
            return True
    return False


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole session; harmless when it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)


def last_line(log: Path, limit: int = 200) -> str:
    """The last line a child wrote to its log that is not blank, shortened; '' if there is none."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8192))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        return "".join(c for c in lines[-1].strip() if c.isprintable())[:limit] if lines else ""
    return ""
