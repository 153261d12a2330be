"""Streams over the package adb-shell, for the transports that talk to the phone directly.

Of adb-shell we use the handshake and the sorting of packets (`_AdbIOManager`, one level below its
public calls, which give no exit status and do not read an early refusal). The packets themselves
are ours (`_packets`), and so are the pipes they go through, because its own TCP transport loses
data on real networks: it ignores short sends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.devices.transports import _keys
from harness.devices.transports._base import AdbTransport
from harness.devices.transports._streams import REPLUG, Deadline, Refused, Stream, cut_off, nonsense

if TYPE_CHECKING:
    from adb_shell.adb_device import AdbDevice

MAX_PAYLOAD = 1 << 20
LEAST_PAYLOAD = 4096  # of the oldest phones

CONFIRM = "unlock the phone and allow USB debugging for this computer, then run again"


def asks_leave(timeout_s: float) -> str:
    """What to say while the phone's user is asked."""
    return (
        "the phone asks whether to allow this computer; unlock it and tap Allow "
        f"(waiting {timeout_s:g} s)"
    )


def not_allowed() -> StableDeviceError:
    """The phone's user said no, or nothing."""
    return StableDeviceError("connect", "the phone did not allow this computer", CONFIRM)


class Pipe(Protocol):
    """adb-shell's BaseTransport, with our deadline: all or nothing, end of file is an error."""

    deadline: Deadline

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """At least one byte."""

    def bulk_write(self, data: bytes | memoryview, transport_timeout_s: float | None) -> int:
        """All of it."""

    def close(self) -> None:
        """Never raises."""


class AdbShellTransport(AdbTransport):
    """Connects through a pipe that `_make_pipe` gives."""

    def __init__(self, connect_timeout_s: float, attendant: Attendant) -> None:
        super().__init__()
        self._attendant = attendant
        self._connect_timeout_s = connect_timeout_s
        self._device: AdbDevice | None = None
        self._pipe: Pipe | None = None
        self._warned_of_key = False

    def _make_pipe(self) -> Pipe:
        raise NotImplementedError

    def connect(self) -> None:
        """See Transport."""
        from adb_shell.adb_device import AdbDevice

        from harness.devices.transports._packets import PacketLayer

        self._disconnect()
        signer = _keys.load_signer()
        self._warn_of_key()
        asked = False

        def ask(_: object) -> None:
            nonlocal asked
            asked = True
            self._attendant.say(asks_leave(self._connect_timeout_s))
            pipe.deadline.extend(self._connect_timeout_s)

        timeout = self._connect_timeout_s
        pipe = self._pipe = self._make_pipe()
        pipe.deadline.extend(timeout)
        device = AdbDevice(pipe, banner="mobile-bench")
        device._io_manager = PacketLayer(pipe)
        try:
            with translated_errors():
                device.connect(
                    rsa_keys=[signer],
                    transport_timeout_s=timeout,
                    auth_timeout_s=timeout,
                    read_timeout_s=timeout,
                    auth_callback=ask,
                )
            if device._maxdata < LEAST_PAYLOAD:
                raise nonsense(f"packets of at most {device._maxdata} bytes")
        except TransientDeviceError as error:
            self._disconnect()
            if asked:
                raise not_allowed() from error
            raise TransientDeviceError("connect", error.message, error.mend) from error
        except BaseException:
            self._disconnect()
            raise
        self._device = device

    def _warn_of_key(self) -> None:
        if not self._warned_of_key and (said := _keys.exposed()):
            self._attendant.say(said)
            self._warned_of_key = True

    def close(self) -> None:
        """See Transport."""
        self._disconnect()

    def _disconnect(self) -> None:
        device, self._device = self._device, None
        pipe, self._pipe = self._pipe, None
        for part in (device, pipe):
            if part:
                with contextlib.suppress(Exception):
                    part.close()

    def open_stream(self, service: str, timeout_s: float) -> Stream:
        """See AdbTransport."""
        if self._device is None or self._pipe is None:
            raise cut_off()
        self._pipe.deadline.extend(timeout_s)
        return PacketStream(self._device, self._pipe, service)


class PacketStream:
    """One stream of packets: each WRTE is acknowledged before the next, which is waited for when
    there is a next, so that the phone and we work at the same time."""

    def __init__(self, device: AdbDevice, pipe: Pipe, service: str) -> None:
        from adb_shell.hidden_helpers import _AdbTransactionInfo

        self._io: Any = device._io_manager
        self._deadline = pipe.deadline
        self._max_payload = min(device._maxdata, MAX_PAYLOAD)
        self._incoming: list[bytes] = []
        self._ended = False
        self._unacknowledged = False
        # The pipe has the deadline; adb-shell's own time-outs are longer than any of ours.
        with device._local_id_lock:
            device._local_id = device._local_id % 0xFFFFFFFF + 1
            self._info = _AdbTransactionInfo(device._local_id, None, 1e9, self._deadline.left())
        with translated_errors():
            self._send(b"OPEN", 0, service.encode() + b"\0")
            command, remote_id, _, _ = self._read([b"OKAY", b"CLSE"])
        if command == b"CLSE":
            raise Refused
        self._info.remote_id = remote_id

    def extend(self, seconds: float) -> None:
        """See Stream."""
        self._deadline.extend(seconds)

    def send(self, data: bytes | memoryview) -> None:
        """See Stream."""
        with translated_errors():
            for start in range(0, len(data), self._max_payload):
                chunk = data[start : start + self._max_payload]
                self._await_okay()
                self._send(b"WRTE", self._info.remote_id, chunk)
                self._unacknowledged = True

    def receive(self) -> bytes:
        """See Stream."""
        with translated_errors():
            while not self._incoming and not self._ended:
                self._take()
        return self._incoming.pop(0) if self._incoming else b""

    def pending(self) -> bool:
        """See Stream."""
        return bool(self._incoming) or self._ended

    def close(self) -> None:
        """See Stream."""
        if not self._ended:
            self._ended = True
            with contextlib.suppress(Exception):
                self._deadline.extend(2)
                self._send(b"CLSE", self._info.remote_id)

    def _await_okay(self) -> None:
        while self._unacknowledged:
            if self._ended:
                raise cut_off()
            self._take()

    def _take(self) -> None:
        command, _, _, data = self._read([b"OKAY", b"WRTE", b"CLSE"])
        if command == b"OKAY":
            self._unacknowledged = False
        elif command == b"WRTE":
            self._send(b"OKAY", self._info.remote_id)
            if data:
                self._incoming.append(bytes(data))
        elif command == b"CLSE":
            self._ended = True
            self._send(b"CLSE", self._info.remote_id)

    def _read(self, commands: list[bytes]) -> tuple[bytes, int, int, bytes]:
        self._info.read_timeout_s = self._deadline.left()
        packet: tuple[bytes, int, int, bytes] = self._io.read(commands, self._info)
        return packet

    def _send(self, command: bytes, remote_id: int, data: bytes | memoryview = b"") -> None:
        from adb_shell.adb_message import AdbMessage

        self._io.send(AdbMessage(command, self._info.local_id, remote_id, data), self._info)


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """adb-shell's fourteen exceptions, which share no base, and the socket's, in our two."""
    from adb_shell import exceptions as adb

    try:
        yield
    except (adb.InvalidChecksumError, adb.InvalidCommandError, adb.InvalidResponseError) as error:
        raise nonsense(type(error).__name__) from error
    except adb.DeviceAuthError as error:
        raise StableDeviceError("connect", "the phone wants a key", CONFIRM) from error
    except (adb.AdbTimeoutError, adb.TcpTimeoutException, TimeoutError) as error:
        raise TransientDeviceError("link", "the phone did not answer in time", REPLUG) from error
    except (
        OSError,
        adb.AdbConnectionError,
        adb.UsbReadFailedError,
        adb.UsbWriteFailedError,
        adb.UsbDeviceNotFoundError,
    ) as error:
        raise cut_off() from error
