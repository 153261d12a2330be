"""What every transport builds on: a stream to one service of adbd, with a deadline."""

from __future__ import annotations

import time
from typing import Protocol

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError, TransientDeviceError

# A phone that sends more than this in answer to one command is broken or hostile.
MAX_OUTPUT_BYTES = 16 * 2**20

POLL_S = 0.5

REPLUG = "check the cable, then run again; `python -m harness devices` shows what is reachable"


class Stream(Protocol):
    """Bytes to and from a service. Every call ends by the deadline, or raises
    TransientDeviceError."""

    def extend(self, seconds: float) -> None:
        """Set the deadline this many seconds from now."""

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`."""

    def receive(self) -> bytes:
        """The next bytes; empty when the service has ended."""

    def pending(self) -> bool:
        """Whether bytes have come in that were not asked for yet."""

    def close(self) -> None:
        """Never raises."""


class Refused(Exception):
    """The phone has no such service."""


class Deadline:
    """A moment until which a call may last, unless the attendant wants it to stop before, and how
    many bytes the phone may send until then, so that a hostile one does not fill the memory."""

    def __init__(self, seconds: float, attendant: Attendant | None = None) -> None:
        self._attendant = attendant or Attendant()
        self.extend(seconds)

    def extend(self, seconds: float) -> None:
        """Start again, from now."""
        self._allowed = seconds
        self._end = time.monotonic() + seconds
        self._bytes_left = 4 * MAX_OUTPUT_BYTES

    def spend(self, received: int) -> None:
        """Count bytes that have arrived; raises StableDeviceError if there are too many."""
        self._bytes_left -= received
        if self._bytes_left < 0:
            raise not_adb("too many packets")

    def left(self) -> float:
        """Seconds left, more than zero; raises TransientDeviceError when there are none, and
        KeyboardInterrupt when the attendant is stopping."""
        self._attendant.check()
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def slice(self) -> float:
        """How long to wait before checking again whether to go on."""
        return min(self.left(), POLL_S)

    def passed(self) -> TransientDeviceError:
        """The error for a phone that took too long."""
        return TransientDeviceError(
            "link", f"the phone did not answer within {self._allowed:g} s", REPLUG
        )


def read_exactly(stream: Stream, buffer: bytearray, size: int) -> bytes:
    """`size` bytes, of which `buffer` may already hold some; the rest stays in `buffer`."""
    while len(buffer) < size:
        data = stream.receive()
        if not data:
            raise cut_off()
        buffer += data
    result = bytes(buffer[:size])
    del buffer[:size]
    return result


def cut_off() -> TransientDeviceError:
    """The error for a connection that ended in the middle of a message."""
    return TransientDeviceError("link", "the connection to the phone broke", REPLUG)


def not_adb(what: str) -> StableDeviceError:
    """The error for a phone that sent something that is not ADB."""
    return StableDeviceError(
        "link",
        f"the phone does not speak ADB properly ({what})",
        "restart the phone, or its debugging: Settings > Developer options > USB debugging",
    )
