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
from concurrent.futures import ThreadPoolExecutor
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

    def __init__(self, stdout: IO[bytes], own: socket.socket, server: Child) -> None:
        self.stdout = stdout
        self._own, self._server = own, server
        self._status: int | None = None

    def wait(self) -> int:
        """Wait until it has ended, however long that takes; its status, negative for a signal."""
        if self._status is None:
            told = self._own.recv(STATUS_BYTES, socket.MSG_WAITALL)
            if len(told) == STATUS_BYTES:
                self._status = int.from_bytes(told, "big", signed=True)
            else:
                # The socket of a job closes a moment before its server can be seen to have ended,
                # and the next job must not be sent to that one.
                self._server.wait()
                self._status = _LOST
        return self._status

    def kill(self) -> None:
        """End it and all that it started, from any thread; harmless when it has ended."""
        try:
            self._own.shutdown(socket.SHUT_WR)
        except OSError:
            return  # both it and its server have ended

    def end(self) -> None:
        """Kill it, wait until it is gone and close its pipes."""
        self.kill()
        self.wait()
        self._own.close()
        self.stdout.close()


class _Server:
    """The process, the socket to it, and the variables that it read when it started."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.read = _read_at_start(environment)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = Child(
                module("harness.artifacts.child.fork_server"),
                stdin=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=environment,
            )

    def begin(self, job: Job, stderr: IO[bytes]) -> Forked:
        reading, writing = os.pipe()
        stdout = os.fdopen(reading, "rb")
        ours, theirs = socket.socketpair()
        try:
            handles = [writing, stderr.fileno(), theirs.fileno()]
            socket.send_fds(self._control, [msgspec.json.encode(job)], handles)
        except BaseException:
            stdout.close()
            ours.close()
            raise
        finally:
            os.close(writing)
            theirs.close()
        return Forked(stdout, ours, self.process)

    def end(self) -> None:
        self._control.close()
        self.process.end()


class ForkServer:
    """The process that imports TensorFlow, started when the first job comes and again if it was
    lost, ended when the last user leaves it (use it as a context). Code that builds often can keep
    it alive by staying inside the context. Jobs may come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._server: _Server | None = None
        self._starter: ThreadPoolExecutor | None = None

    def start(
        self, folder: Path, *, stderr: IO[bytes], environment: Mapping[str, str]
    ) -> Forked | None:
        """Carry out the request in `folder` in a fork. None if a fork would not be the same as a
        new process: on other systems than Linux, and if a variable that TensorFlow or Python reads
        when it starts is not as it was for the first job. Raises OSError if no process can be
        started."""
        if sys.platform != "linux":
            return None  # a fork without exec is not safe there, or there is none
        job = Job(folder=str(folder), environment=dict(environment))
        with self._lock:
            server = self._running(environment)
            return server.begin(job, stderr) if server.read == _read_at_start(environment) else None

    def get_ready(self, environment: Mapping[str, str]) -> None:
        """Begin to import TensorFlow, so that the first job finds it imported. Does not wait."""
        if sys.platform == "linux":
            with self._lock:
                self._running(environment)

    @property
    def pid(self) -> int | None:
        """The process id of the server; None if it does not run."""
        return self._server.process.pid if self._server else None

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
        if self._server is not None:
            self._server.end()
        if self._starter is not None:
            self._starter.shutdown()
        self._server = self._starter = None

    def _running(self, environment: Mapping[str, str]) -> _Server:
        """The server, which is started if it is not there."""
        if self._server is None or self._server.process.ended(0):
            self._end()
            # The kernel kills a child with the thread that started it, and a thread that brings
            # jobs may end before the server should.
            self._starter = ThreadPoolExecutor(1)
            self._server = self._starter.submit(_Server, environment).result()
        return self._server


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: v for name, v in environment.items() if name.startswith(_READ_AT_START)}


# The server that all callers share.
server = ForkServer()
