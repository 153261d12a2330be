"""What a stream can be opened for: shell commands, exec, file sync.

A service takes the name it was opened with, its stream, the phone, and a function that pulls the
cable; it returns when it has ended.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from harness.emulator import sync
from harness.emulator.phone import Phone

if TYPE_CHECKING:
    from harness.emulator.streams import Stream


class Service(Protocol):
    """The shape of a service."""

    def __call__(
        self, name: bytes, stream: Stream, phone: Phone, unplug: Callable[[], None]
    ) -> None:
        """Run to the end; raises StreamClosed when the client goes away."""


# Frames of shell v2: one byte of kind, four of length, the bytes.
FRAME = struct.Struct("<BI")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = 0, 1, 2, 3, 4

UNPLUG_DELAY_S = 0.5


def find(name: bytes, features: Sequence[str]) -> Service | None:
    """The service for a name such as `shell,v2,raw:ls`; None if a phone with these features does
    not have it."""
    kind, *options = name.partition(b":")[0].split(b",")
    if b"v2" in options and "shell_v2" not in features:
        return None
    return {b"shell": shell, b"exec": execute, b"sync": _sync}.get(kind)


def shell(name: bytes, stream: Stream, phone: Phone, unplug: Callable[[], None]) -> None:
    """`shell:COMMAND` merges the outputs; `shell,v2...:COMMAND` frames them and the exit status."""
    options, _, command = name.partition(b":")
    framed = b"v2" in options.split(b",")
    _Command(command, stream, phone, unplug, framed).run()


def execute(name: bytes, stream: Stream, phone: Phone, unplug: Callable[[], None]) -> None:
    """`exec:COMMAND`: raw bytes both ways."""
    _Command(name.partition(b":")[2], stream, phone, unplug, framed=False).run()


def _sync(name: bytes, stream: Stream, phone: Phone, unplug: Callable[[], None]) -> None:
    sync.serve(stream, phone)


class _Command:
    """One shell command and the threads that carry its input and outputs."""

    def __init__(
        self,
        command: bytes,
        stream: Stream,
        phone: Phone,
        unplug: Callable[[], None],
        framed: bool,
    ) -> None:
        self._text = os.fsdecode(command)
        self._stream = stream
        self._phone = phone
        self._unplug = unplug
        self._framed = framed

    def run(self) -> None:
        phone = self._phone
        phone.before_command(self._text)
        # Without a command the shell reads them from its input.
        arguments = ["/system/bin/sh"]
        if self._text:
            arguments += ["-c", phone.translate(self._text)]
        process = subprocess.Popen(
            arguments,
            executable=phone.userland.shell,
            cwd=phone.root,
            env=phone.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self._framed else subprocess.STDOUT,
            start_new_session=True,
        )
        phone.started(process.pid)
        self._stream.on_close = lambda: phone.ended(process.pid)
        if self._stream.closed.is_set():
            phone.ended(process.pid)
        self._plan_fault()
        threads = [self._pump(process.stdout, STDOUT)]
        if self._framed:
            threads.append(self._pump(process.stderr, STDERR))
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        try:
            process.wait()
            for thread in threads:
                thread.join(timeout=2)
            if self._framed:
                self._stream.write(FRAME.pack(EXIT, 1) + bytes([_status(process.returncode)]))
        finally:
            self._stream.on_close = lambda: None
            phone.ended(process.pid)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe and not any(t.is_alive() for t in threads):
                    _close(pipe)

    def _pump(self, pipe: IO[bytes] | None, kind: int) -> threading.Thread:
        thread = threading.Thread(target=self._carry, args=(pipe, kind), daemon=True)
        thread.start()
        return thread

    def _carry(self, pipe: IO[bytes] | None, kind: int) -> None:
        """Outputs to the client, with this machine's paths made the phone's again."""
        from harness.emulator.streams import StreamClosed

        replace = Replacer(os.fsencode(self._phone.root), b"")
        assert pipe is not None
        fd = pipe.fileno()
        try:
            while data := os.read(fd, 1 << 16):
                self._emit(kind, replace.feed(data))
            self._emit(kind, replace.end())
        except (StreamClosed, OSError):
            pass

    def _emit(self, kind: int, data: bytes) -> None:
        if data:
            self._stream.write(FRAME.pack(kind, len(data)) + data if self._framed else data)

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """The client's bytes to the command's input."""
        from harness.emulator.streams import StreamClosed

        pipe = process.stdin
        assert pipe is not None
        try:
            while True:
                if self._framed:
                    kind, length = FRAME.unpack(self._stream.read_exactly(FRAME.size))
                    data = self._stream.read_exactly(length)
                    if kind == CLOSE_STDIN:
                        break
                    if kind != STDIN:
                        continue
                else:
                    data = bytes(self._stream.read())
                    if not data:
                        break
                pipe.write(data)
                pipe.flush()
        except (StreamClosed, OSError, ValueError):
            pass
        finally:
            _close(pipe)

    def _plan_fault(self) -> None:
        phrase = self._phone.faults.unplug_during
        if phrase and phrase in self._text and self._phone.take_unplug():
            timer = threading.Timer(UNPLUG_DELAY_S, self._unplug)
            timer.daemon = True
            timer.start()


class Replacer:
    """Replaces `old` by `new` in a flow of bytes, also where it is split between two chunks."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self._old = old
        self._new = new
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on; the start of a possible match is held back."""
        data = (self._held + data).replace(self._old, self._new)
        keep = next(
            (n for n in range(min(len(self._old) - 1, len(data)), 0, -1)
             if data.endswith(self._old[:n])),
            0,
        )  # fmt: skip
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def end(self) -> bytes:
        """What was held back."""
        data, self._held = self._held, b""
        return data


def _status(returncode: int) -> int:
    """The exit status as a shell shows it: 128 + the signal."""
    return returncode if returncode >= 0 else 128 - returncode


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        pipe.close()
