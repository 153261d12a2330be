"""The byte pipe to a phone; one file each.

A transport module offers `open_transport(spec: AndroidSpec, attendant: Attendant) -> Transport`,
which does not connect yet, but raises UsageError where a package is missing. All else raises
TransientDeviceError and StableDeviceError only, and UsageError where devices.yaml does not say
which phone is meant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.core.text import integer

Progress = Callable[[int, int], None]

MAX_PULL_BYTES = 1 << 26  # the answers of a model are the largest file that comes back


class ShellResult(NamedTuple):
    """Exit status and output (stdout then stderr where the service tells them apart)."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """Calls come from one thread per transport. A call that fails leaves a transport that can be
    connected again."""

    def connect(self) -> None:
        """Connect and authenticate; tells the attendant when the phone asks its user."""

    def close(self) -> None:
        """Never raises."""

    def shell(self, command: str, timeout_s: float) -> ShellResult:
        """Run `command` (already quoted) and wait; the exit status is always the real one."""

    def push(
        self,
        local: Path,
        remote: str,
        progress: Progress | None = None,
        *,
        sha256: str | None = None,
    ) -> bool:
        """Copy a file to the device, verified by SHA-256 there; `progress(bytes_done,
        bytes_total)`. False if the device had it already and no byte was sent. `sha256` is what
        the file must have where that is known, which saves reading it twice; a file that has
        another is a StableDeviceError of the stage `push`."""

    def pull(self, remote: str, local: Path, max_bytes: int = MAX_PULL_BYTES) -> None:
        """Copy a file from the device; a partial copy is never left behind. A StableDeviceError
        of the stage `pull` says that there is no such file to read."""


def free_bytes(df: bytes) -> int | None:
    """Available space in the answer of `df -k`: in its last line, the number before the column with
    the per cent sign. None if there is none."""
    lines = df.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    for before, field in itertools.pairwise(last.split()):
        if field.endswith("%") and (free_kib := integer(before)) is not None:
            return free_kib * 1024
    return None
