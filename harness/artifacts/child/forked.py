"""Jobs for TensorFlow as forks of one process that has imported it: the side that asks for them.

See harness.artifacts.child.fork_server for what runs at the other end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from harness.artifacts.child.fork_server import STATUS_BYTES, Job
from harness.system.process import Child, module

# What Python, TensorFlow and the libraries under it read from the environment when they start.
_READ_AT_START = ("PYTHON", "LD_", "TF_", "XLA_", "KERAS_", "CUDA_", "OMP_", "OPENBLAS_", "MKL_")
_LOST = -9  # the status of a job whose server is gone: the kernel kills it with its server


class Forked:
    """A job under way: to be read, waited for and ended like harness.system.process.Child."""

    def __init__(self, stdout: IO[bytes], own: socket.socket) -> None:
        self.stdout = stdout
        self._own = own
        self._status: int | None = None

    def wait(self) -> int:
        """Wait until it has ended, however long that takes; its status, negative for a signal."""
        if self._status is None:
            told = self._own.recv(STATUS_BYTES, socket.MSG_WAITALL)
            whole = len(told) == STATUS_BYTES
            self._status = int.from_bytes(told, "big", signed=True) if whole else _LOST
        return self._status

    def kill(self) -> None:
        """End it and all that it started, from any thread; harmless when it has ended."""
        try:
            self._own.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended, and so has its server

    def end(self) -> None:
        """Kill it, wait until it is gone and close its pipes."""
        self.kill()
        self.wait()
        self._own.close()
        self.stdout.close()


class ForkServer:
    """The process that imports TensorFlow, started when the first job comes and again if it was
    lost, ended when the last of those who use it as a context has left. Whoever builds often can
    keep it by being one of them. Jobs may come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._server: Child | None = None
        self._control: socket.socket | None = None
        self._read: dict[str, str] = {}

    def start(
        self, folder: Path, *, stderr: IO[bytes], environment: Mapping[str, str]
    ) -> Forked | None:
        """Carry out the request in `folder` in a fork. None where that is not the same as in a
        new process: on other systems than Linux, and if a variable that TensorFlow or Python reads
        when it starts is not as it was for the first job. Raises OSError if no process can be
        started."""
        if sys.platform != "linux":
            return None  # a fork without exec is not safe there, or there is none
        with self._lock:
            control = self._running(environment)
        if control is None:
            return None
        reading, writing = os.pipe()
        ours, theirs = socket.socketpair()
        message = msgspec.json.encode(Job(folder=str(folder), environment=dict(environment)))
        try:
            with self._lock:
                socket.send_fds(control, [message], [writing, stderr.fileno(), theirs.fileno()])
        except BaseException:
            os.close(reading)
            ours.close()
            raise
        finally:
            os.close(writing)
            theirs.close()
        return Forked(os.fdopen(reading, "rb"), ours)

    @property
    def pid(self) -> int | None:
        """The process id of the server; None if it does not run."""
        return self._server.pid if self._server else None

    def __enter__(self) -> ForkServer:
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._end()

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.end()
        self._server = self._control = None

    def _running(self, environment: Mapping[str, str]) -> socket.socket | None:
        """The way to the server, which is started if it is not there; None if it does not fit."""
        read = {name: v for name, v in environment.items() if name.startswith(_READ_AT_START)}
        if self._server is not None and not self._server.ended(0):
            return self._control if read == self._read else None
        self._end()
        self._read = read
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = Child(
                module("harness.artifacts.child.fork_server"),
                stdin=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        return self._control


# The one that everybody shares.
server = ForkServer()
