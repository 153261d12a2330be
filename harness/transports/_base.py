"""What all transports share: shell with a real status, verified push, whole pull.

A transport adds how to connect and how to open a stream to a service.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import posixpath
import shlex
import tempfile
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.core.text import clean
from harness.transports import Progress, ShellResult
from harness.transports._shell import Sentinel, framed_service, read_framed
from harness.transports._streams import Refused, Stream, nonsense
from harness.transports._sync import FREE_SPACE, receive_file, refusal, send_file

QUICK_S = 20.0  # for commands that answer at once
STALL_S = 30.0  # how long a copy may stand still
HASH_BYTES_PER_S = 5e6  # of the slowest phone
SPARE_BYTES = 1 << 20
MAX_PULL_BYTES = 1 << 30


class AdbTransport:
    """Everything but the pipe itself."""

    def __init__(self) -> None:
        self._framed = True  # until the phone refuses shell v2

    def open_stream(self, service: str, timeout_s: float) -> Stream:
        """A stream to `shell:...` or `sync:`; raises Refused."""
        raise NotImplementedError

    def shell(self, command: str, timeout_s: float) -> ShellResult:
        """See Transport."""
        if self._framed:
            try:
                stream = self.open_stream(framed_service(command), timeout_s)
            except Refused:
                self._framed = False
            else:
                with contextlib.closing(stream):
                    return read_framed(stream)
        sentinel = Sentinel(command)
        try:
            stream = self.open_stream(sentinel.service, timeout_s)
        except Refused:
            raise nonsense("no shell service") from None
        with contextlib.closing(stream):
            return sentinel.read(stream)

    def push(self, local: Path, remote: str, progress: Progress | None = None) -> bool:
        """See Transport."""
        try:
            size = local.stat().st_size
            with local.open("rb") as file:
                wanted = _sha256(file)
        except OSError as error:
            raise StableDeviceError(
                "push", f"{clean(str(local))} cannot be read: {error.strerror}"
            ) from None
        if self._hash(remote, size) == wanted:
            return False
        self._check_space(posixpath.dirname(remote), size)
        # The name is only given to a whole file: a broken push leaves `.part` behind at worst.
        part = f"{remote}.part"
        try:
            stream = self.open_stream("sync:", STALL_S)
        except Refused:
            raise nonsense("no sync service") from None
        with contextlib.closing(stream):
            send_file(stream, local, part, STALL_S, progress=progress)
        got = self._hash(part, size)
        if got != wanted:
            self.shell(f"rm -f {shlex.quote(part)}", QUICK_S)
            raise TransientDeviceError(
                "push",
                f"{clean(posixpath.basename(remote))} arrived damaged: SHA-256 on the phone is "
                f"{got or 'unknown'}",
                "try another cable or port, then run again",
            )
        self._move(part, remote)
        return True

    def pull(self, remote: str, local: Path) -> None:
        """See Transport."""
        try:
            stream = self.open_stream("sync:", STALL_S)
        except Refused:
            raise nonsense("no sync service") from None
        handle, name = tempfile.mkstemp(dir=local.parent, prefix=f".{local.name}.")
        try:
            with contextlib.closing(stream), os.fdopen(handle, "wb") as sink:
                receive_file(stream, remote, sink, STALL_S, MAX_PULL_BYTES)
            Path(name).replace(local)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _hash(self, remote: str, size: int) -> str | None:
        """SHA-256 of a file on the phone; None if there is no such file."""
        quoted = shlex.quote(remote)
        command = f"if [ -f {quoted} ]; then sha256sum < {quoted}; else echo none; fi"
        result = self.shell(command, QUICK_S + size / HASH_BYTES_PER_S)
        answer = clean(result.stdout).split()[:1]
        if result.exit_code or not answer:
            raise StableDeviceError(
                "push",
                "the phone cannot compute SHA-256 (no sha256sum): "
                f"{clean(result.stderr or result.stdout)}",
                "phones before Android 7 are not supported",
            )
        return None if answer == ["none"] else answer[0]

    def _check_space(self, folder: str, size: int) -> None:
        """Before, not after: a large push to a full disk fails late and badly."""
        result = self.shell(f"df -k {shlex.quote(folder)}", QUICK_S)
        free = free_bytes(clean_df(result.stdout))
        if free is not None and free < size + SPARE_BYTES:
            raise StableDeviceError(
                "push",
                f"{clean(folder)} on the phone has {free / 1e6:.1f} MB free, "
                f"{(size + SPARE_BYTES) / 1e6:.1f} MB are needed",
                FREE_SPACE,
            )

    def _move(self, part: str, remote: str) -> None:
        result = self.shell(f"mv -f {shlex.quote(part)} {shlex.quote(remote)}", QUICK_S)
        if result.exit_code:
            raise refusal("push", clean(result.stderr or result.stdout))


def clean_df(output: bytes) -> str:
    """The last line of df."""
    lines = output.decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def free_bytes(line: str) -> int | None:
    """Available space from a line of `df -k`: the number before the per cent sign's column."""
    fields = line.split()
    for before, field in itertools.pairwise(fields):
        if field.endswith("%") and before.isdigit():
            return int(before) * 1024
    return None


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()
