"""Decoding in a process of its own, so that an image which crashes the decoder, or keeps it busy
forever, is refused by name and the next one is read."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast, get_args

from harness.core.errors import UsageError
from harness.data.decode import Form, Picture, Refused, bytes_of
from harness.system import process

COMMAND = tuple(process.module("harness.data.decode_worker"))
TIMEOUT_S, _DYING_S = 60.0, 5.0


class Decoder:
    """One process, started by the first image and again after each crash; `close` ends it."""

    def __init__(self, command: Sequence[str] = COMMAND, timeout_s: float = TIMEOUT_S) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._child: process.Child | None = None
        self._ended = threading.Event()
        self._busy_since: float | None = None
        self._overdue = False

    def decode(self, data: bytes, kind: str) -> Picture:
        """Like `decode.decode`. Raises Refused; UsageError if no process can be started."""
        child = self._child or self._start()
        self._busy_since = time.monotonic()
        try:
            return self._ask(child, data, kind)
        except Refused:
            raise
        except (OSError, EOFError):
            child.ended(_DYING_S)  # it ended by itself, so its status says why
            self.close()
            if self._overdue:
                raise Refused(f"takes longer than {self._timeout_s:g} s to decode") from None
            raise Refused(f"crashes the decoder ({_how(child)})") from None
        except BaseException:
            # Interrupted in the middle of an answer, which the next image must not get.
            self.close()
            raise
        finally:
            self._busy_since = None

    def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is None:
            return
        self._ended.set()
        child.end()

    def _start(self) -> process.Child:
        try:
            self._child = child = process.Child(
                self._command, stderr=subprocess.DEVNULL, env=process.python_environment()
            )
        except OSError as error:
            raise _cannot_start(f"{self._command[0]}: {error.strerror or error}") from None
        if child.stdout.read(1) != b"+":
            self.close()
            raise _cannot_start(f"it ended with {_how(child)}")
        self._ended, self._overdue = threading.Event(), False
        threading.Thread(target=self._watch, args=(child, self._ended), daemon=True).start()
        return child

    def _watch(self, child: process.Child, ended: threading.Event) -> None:
        """End the process once an image takes too long. One thread for all images, because starting
        one for each image took half as long as decoding it."""
        while not ended.wait(self._timeout_s / 10):
            since = self._busy_since
            if since is not None and time.monotonic() - since > self._timeout_s:
                self._overdue = True
                child.kill()
                return

    def _ask(self, child: process.Child, data: bytes, kind: str) -> Picture:
        child.stdin.write(f"{kind} {len(data)}\n".encode())
        child.stdin.write(data)
        child.stdin.flush()
        said, _, rest = child.stdout.readline().decode().rstrip("\n").partition(" ")
        if said == "R":
            raise Refused(rest)
        if rest not in get_args(Form):  # it ended in the middle of an answer
            raise EOFError
        form = cast("Form", rest)
        return Picture(_whole(child.stdout, bytes_of(form)), form)


def _cannot_start(why: str) -> UsageError:
    return UsageError(
        f"the process that decodes images cannot be started: {why}",
        f"see what {Path(sys.executable).name} -m harness.data.decode_worker says",
    )


def _whole(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _how(child: process.Child) -> str:
    return process.ending(child.returncode).removeprefix("killed by ")
