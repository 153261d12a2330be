"""Child processes that may crash, hang or print without end: started, fed, timed and ended here.

`run` for a program that answers and ends, `ask` for a short question to a tool, `Child` for one
that answers requests while it works. Each runs in a session of its own, so that ending it ends what
it started too, and Ctrl-C reaches it only through us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

import harness
from harness.core.attendant import Attendant
from harness.core.text import clean

POLL_S = 0.5
_PR_SET_PDEATHSIG = 1
MAX_OUTPUT_BYTES = 64 * 2**20
_ROOT = Path(harness.__file__).parents[1]  # where `harness` is found


def ending(returncode: int) -> str:
    """'exit status 3', 'killed by SIGSEGV'. Negative for a signal, as in subprocess."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


class Finished(NamedTuple):
    """How a child ended; `flooded` if it wrote more than MAX_OUTPUT_BYTES and was ended."""

    returncode: int
    stdout: bytes
    timed_out: bool = False
    flooded: bool = False

    @property
    def ending(self) -> str:
        """'exit status 3', 'killed by SIGSEGV'."""
        return ending(self.returncode)


class Answer(NamedTuple):
    """What a program answered to a short question."""

    returncode: int
    stdout: str
    stderr: str


class Child:
    """A running program, with pipes to its input and output. As a context it is ended on leaving.

    `stderr` is a file or subprocess.DEVNULL, `stdin` may be one instead of the pipe. Where nobody
    is left to end it, as after SIGKILL, a child that `dies_with_us` is ended by the kernel (Linux;
    not from a thread that ends earlier). Raises OSError if the program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        stderr: IO[bytes] | int,
        stdin: IO[bytes] | int = subprocess.PIPE,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        dies_with_us: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            [os.fspath(c) for c in command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=die_with_parent if dies_with_us else None,  # noqa: PLW1509
        )
        assert self._process.stdout is not None
        self.stdout: IO[bytes] = self._process.stdout

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to its input, unless it was given another one."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def pid(self) -> int:
        """Its process id, which is also its session's."""
        return self._process.pid

    @property
    def returncode(self) -> int:
        """How it ended; call this only after it has ended."""
        assert self._process.returncode is not None
        return self._process.returncode

    def close_input(self) -> None:
        """Tell it that no more input comes."""
        with contextlib.suppress(OSError):  # nobody reads what was not written
            if self._process.stdin is not None:
                self._process.stdin.close()

    def ended(self, within_s: float) -> bool:
        """Wait for it that long; whether it has ended."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self) -> int:
        """Wait until it has ended, however long that takes; its status."""
        return self._process.wait()

    def kill(self) -> None:
        """End it and all that it started, from any thread; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, wait until it is gone and close its pipes."""
        self.kill()
        self.wait()
        self.close_input()
        self.stdout.close()


def run(
    command: Sequence[str | Path],
    *,
    stdin: bytes,
    log: Path,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    attendant: Attendant | None = None,
    dies_with_us: bool = False,
    told: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run `command` until it ends, `timeout_s` passes or it has written MAX_OUTPUT_BYTES; its
    standard error is appended to `log`. Whatever ends this call, Ctrl-C and the attendant included,
    ends the child. For `dies_with_us` see Child. `told` is called with each line of its standard
    output at once, in another thread."""
    with log.open("ab") as errors:
        child = Child(command, stderr=errors, env=env, dies_with_us=dies_with_us)
    output = bytearray()
    flooded = threading.Event()

    def read() -> None:
        begun = 0
        while chunk := child.stdout.read1(65536):  # type: ignore[attr-defined]
            output.extend(chunk)
            while told and (end := output.find(b"\n", begun)) >= 0:
                told(bytes(output[begun:end]))
                begun = end + 1
            if len(output) > MAX_OUTPUT_BYTES:
                flooded.set()
                child.kill()
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(stdin)
            child.stdin.flush()
        child.close_input()
        timed_out = not _wait(child, timeout_s, attendant or Attendant())
    finally:
        child.kill()
        child.wait()
        reader.join(5)
        if not reader.is_alive():
            child.end()
    return Finished(child.returncode, bytes(output), timed_out, flooded.is_set())


def ask(
    command: Sequence[str | Path],
    timeout_s: float = 60,
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    dies_with_us: bool = False,
) -> Answer:
    """Run a program that answers soon and in few words; for `dies_with_us` see Child. Raises
    OSError if it cannot be started, and its subclass TimeoutError if it takes longer than
    `timeout_s`."""
    import tempfile

    with (
        tempfile.TemporaryFile() as errors,
        Child(command, stderr=errors, stdin=stdin, dies_with_us=dies_with_us) as child,
    ):
        overdue = threading.Timer(timeout_s, child.kill)
        overdue.start()
        try:
            stdout = child.stdout.read()
            child.wait()
        finally:
            timed_out = not overdue.is_alive()
            overdue.cancel()
        if timed_out:
            raise TimeoutError(f"{os.fspath(command[0])} did not answer within {timeout_s:g} s")
        errors.seek(0)
        said = errors.read()
    return Answer(child.returncode, stdout.decode(errors="replace"), said.decode(errors="replace"))


def import_path() -> list[str]:
    """The folders that this process imports from, absolute, so that a child finds what we find:
    also what `pip install --user` and PYTHONPATH put there. Without the current folder, which is
    on the path only because of how we were started, and whose files may have any name."""
    here = {""}
    with contextlib.suppress(OSError):  # the current folder may be gone
        here |= {os.fspath(Path.cwd()), os.fspath(Path.cwd().resolve())}
    return [path for path in sys.path if path not in here]


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of harness; to be started with `python_environment`."""
    return [sys.executable, "-m", name, *arguments]


def python_environment(**more: str) -> dict[str, str]:
    """The variables for a Python that finds this harness and what we find, in whatever folder it
    is started; with `more` of them."""
    path = dict.fromkeys([os.fspath(_ROOT), *import_path()])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


def die_with_parent() -> None:
    """To be called in a child before it becomes another program: the kernel kills it as soon as its
    parent is gone, however the parent ended."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: Child, timeout_s: float, attendant: Attendant) -> bool:
    """Whether the child ended in time; raises KeyboardInterrupt if it is to stop before."""
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        attendant.check()
        if child.ended(min(left, POLL_S)):
            return True
    return False


def last_line(log: Path, limit: int = 200) -> str:
    """The last line a child wrote to its log that is not blank, shortened; '' if there is none."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8192))
        lines = [line for line in file.read().splitlines() if line.strip()]
        return clean(lines[-1], limit) if lines else ""
    return ""
