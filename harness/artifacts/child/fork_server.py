"""A process that imports TensorFlow once and forks itself for every job (Linux only).

Importing TensorFlow takes seconds of processor time, often more than the job itself. A fork of a
process that has imported it and computed nothing yet is as good as a new process: it has one
thread, its own session, its own folder and environment, and writes the same bytes.

Standard input is a socket. Each message on it is one job: `Job` as JSON with three file
descriptors, which are the job's standard output, its standard error and a socket for this job
alone. The server writes the job's exit status to that socket (negative for a signal, as in
subprocess) and kills the job when the other end is closed. When standard input is closed, the
server kills every job and ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from harness.artifacts.child.protocol import WORK
from harness.system.process import die_with_parent

MAX_MESSAGE_BYTES = 2**20
STATUS_BYTES = 4  # a signed exit status, big-endian


class Job(msgspec.Struct, frozen=True):
    """What to carry out, and with which variables; `folder` as in harness.artifacts.child.main."""

    folder: str
    environment: dict[str, str]


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.jobs: dict[int, socket.socket] = {}
        self.ended, self.signalled = socket.socketpair()
        for end in (self.ended, self.signalled):
            end.setblocking(False)
        self.events = selectors.DefaultSelector()

    def serve(self) -> None:
        """Fork for every job, until standard input is closed."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.signalled.fileno())
        self.events.register(self.control, selectors.EVENT_READ)
        self.events.register(self.ended, selectors.EVENT_READ)
        while True:
            for key, _ in self.events.select():
                if key.fileobj is self.control:
                    message, handles, _, _ = socket.recv_fds(self.control, MAX_MESSAGE_BYTES, 3)
                    if not message:
                        return
                    self._start(msgspec.json.decode(message, type=Job), *handles)
                elif key.fileobj is self.ended:
                    self._report_ended()
                else:  # the process that asked for this job has ended or cancelled it
                    self.events.unregister(key.fileobj)
                    _kill(key.data)

    def kill_all(self) -> None:
        for pid in self.jobs:
            _kill(pid)

    def _start(self, job: Job, stdout: int, stderr: int, asked: int) -> None:
        client = socket.socket(fileno=asked)
        pid = os.fork()
        if pid == 0:
            self.events.close()
            for one in (self.control, self.ended, self.signalled, client, *self.jobs.values()):
                one.close()
            _carry_out(job, stdout, stderr)
        os.close(stdout)
        os.close(stderr)
        self.jobs[pid] = client
        self.events.register(client, selectors.EVENT_READ, pid)

    def _report_ended(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.ended.recv(4096)
        for pid, status in _reaped():
            client = self.jobs.pop(pid)
            with contextlib.suppress(KeyError):
                self.events.unregister(client)
            with contextlib.suppress(OSError):  # no process waits for it any more
                client.sendall(status.to_bytes(STATUS_BYTES, "big", signed=True))
            client.close()


def _reaped() -> Iterator[tuple[int, int]]:
    """(process id, exit status) of the jobs that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _kill(pid: int) -> None:
    """End a job that has not been reaped yet, with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have its own session yet
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _carry_out(job: Job, stdout: int, stderr: int) -> NoReturn:
    """In the fork: become what a new process for this job would be, and do it."""
    status = 1
    try:
        os.setsid()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(job.environment)
        tempfile.tempdir = None  # it is read from the environment at its first use
        folder = Path(job.folder)
        os.chdir(folder / WORK)

        from harness.artifacts.child import main

        status = main.main(folder)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Import TensorFlow, then serve."""
    control = socket.socket(fileno=os.dup(0))
    # Where it cannot be imported, the job tries again and its own log says why.
    with contextlib.suppress(Exception):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        from harness.artifacts.child import training  # noqa: F401
    server = _Server(control)
    try:
        server.serve()
    finally:
        server.kill_all()


if __name__ == "__main__":
    main()
