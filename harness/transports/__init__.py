"""The byte pipe to a phone; one file each.

A transport module offers `open_transport(spec: AndroidSpec) -> Transport`. All three raise only
TransientDeviceError and StableDeviceError.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol


class ShellResult(NamedTuple):
    """Exit status and output (stdout then stderr where the service tells them apart)."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """Calls come from one thread per transport."""

    def connect(self) -> None:
        """Connect and authenticate; announces on standard error when the phone asks its user."""

    def close(self) -> None:
        """Never raises."""

    def shell(self, command: str, timeout_s: float) -> ShellResult:
        """Run `command` (already quoted) and wait; the exit status is always the real one."""

    def push(
        self, local: Path, remote: str, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file to the device; `progress(bytes_done, bytes_total)`."""

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file from the device; a partial copy is never left behind."""
