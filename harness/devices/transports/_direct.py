"""Connected to the phone itself, without an adb server: what TCP and USB share.

Of the package adb-shell we use what it does well: making and encoding keys, signing (`_keys`), and
finding and reading phones on USB (`adb_usb`). Its own connections lose data on real networks, give
no exit status and do not read an early refusal, so the protocol is our own (`_packets`).
"""

from __future__ import annotations

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.devices import adb_keys
from harness.devices.transports._base import AdbTransport
from harness.devices.transports._packets import Connection, PacketStream, Pipe
from harness.devices.transports._streams import Stream, cut_off

CONFIRM = "unlock the phone and allow USB debugging for this computer, then run again"


def asks_leave(timeout_s: float) -> str:
    """What to say while the phone's user is asked."""
    return (
        "the phone asks whether to allow this computer; unlock it and tap Allow "
        f"(waiting {timeout_s:g} s)"
    )


def not_allowed() -> StableDeviceError:
    """The error for a phone whose user refused, or did not answer."""
    return StableDeviceError("connect", "the phone did not allow this computer", CONFIRM)


class DirectTransport(AdbTransport):
    """Connects through a pipe that `_make_pipe` gives."""

    def __init__(self, connect_timeout_s: float, attendant: Attendant) -> None:
        super().__init__()
        self._attendant = attendant
        self._connect_timeout_s = connect_timeout_s
        self._connection: Connection | None = None
        self._warned_of_key = False

    def _make_pipe(self) -> Pipe:
        raise NotImplementedError

    def connect(self) -> None:
        """See Transport."""
        self._disconnect()
        signer = adb_keys.load_signer()
        self._warn_of_key()
        asked = False

        def asking() -> None:
            nonlocal asked
            asked = True
            self._attendant.say(asks_leave(self._connect_timeout_s))
            pipe.deadline.extend(self._connect_timeout_s)

        pipe = self._make_pipe()
        pipe.deadline.extend(self._connect_timeout_s)
        connection = Connection(pipe)
        try:
            connection.connect(signer, asking)
        except TransientDeviceError as error:
            pipe.close()
            if asked:
                raise not_allowed() from error
            raise TransientDeviceError("connect", error.message, error.fix) from error
        except BaseException:
            pipe.close()
            raise
        self._connection = connection

    def _warn_of_key(self) -> None:
        if not self._warned_of_key and (said := adb_keys.exposed()):
            self._attendant.say(said)
            self._warned_of_key = True

    def close(self) -> None:
        """See Transport."""
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.pipe.close()

    def open_stream(self, service: str, timeout_s: float) -> Stream:
        """See AdbTransport."""
        if self._connection is None:
            raise cut_off()
        self._connection.pipe.deadline.extend(timeout_s)
        return PacketStream(self._connection, service)
