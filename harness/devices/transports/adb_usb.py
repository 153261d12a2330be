"""A phone on USB, without an adb server (which would claim the interface for itself)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError, TransientDeviceError, UsageError
from harness.core.specs import AndroidSpec
from harness.core.text import clean
from harness.devices.transports._direct import DirectTransport
from harness.devices.transports._packets import HEADER
from harness.devices.transports._streams import Deadline, cut_off

if TYPE_CHECKING:
    from adb_shell.transport.usb_transport import UsbTransport

NO_PHONE = (
    "connect one, switch on Settings > Developer options > USB debugging, and choose a cable "
    "that carries data"
)
BUSY = "end the adb server with `adb kill-server`, or use `transport: adb_server`"
NO_ACCESS = "install the udev rules of your system for Android (package android-sdk-platform-tools)"


class UsbPipe:
    """adb-shell's USB transport with our deadline."""

    def __init__(self, usb: UsbTransport, timeout_s: float, attendant: Attendant) -> None:
        self.deadline = Deadline(timeout_s, attendant)
        self._usb = usb

    def connect(self) -> None:
        """Claim the interface; raises StableDeviceError where another program has it."""
        import usb1

        try:
            self._usb.connect(self.deadline.left())
        except usb1.USBErrorBusy:
            raise StableDeviceError("connect", "another program uses the phone", BUSY) from None
        except usb1.USBErrorAccess:
            raise StableDeviceError("connect", "no permission for USB", NO_ACCESS) from None
        except usb1.USBError as error:
            raise TransientDeviceError("connect", f"USB: {clean(str(error))}", NO_PHONE) from None

    def close(self) -> None:
        """Never raises."""
        with contextlib.suppress(Exception):
            self._usb.close()

    def read(self, size: int) -> bytes:
        """See Pipe."""
        import usb1
        from adb_shell.exceptions import UsbReadFailedError

        data = b""
        while not data and (wait := self._patience(size)):
            try:
                data = bytes(self._usb.bulk_read(size, wait))
                break
            except UsbReadFailedError as error:
                if not isinstance(error.usb_error, usb1.USBErrorTimeout):
                    raise cut_off() from error
        if not data:
            raise cut_off()
        self.deadline.spend(len(data))
        return data

    def _patience(self, size: int) -> float:
        """How long one read may wait: briefly between packets, so that Ctrl-C is noticed; until the
        deadline inside a packet, which must not be cut."""
        return self.deadline.slice() if size == HEADER.size else self.deadline.left()

    def write(self, data: bytes | memoryview) -> None:
        """See Pipe. A short write goes on until all is sent."""
        from adb_shell.exceptions import UsbWriteFailedError

        view = memoryview(data)
        while view:
            try:
                count = self._usb.bulk_write(bytes(view), self.deadline.left())
            except UsbWriteFailedError as error:
                raise cut_off() from error
            if not count:
                raise cut_off()
            view = view[count:]


class AdbUsb(DirectTransport):
    """See the module."""

    def __init__(self, serial: str | None, connect_timeout_s: float, attendant: Attendant) -> None:
        super().__init__(connect_timeout_s, attendant)
        self._serial = serial

    def _make_pipe(self) -> UsbPipe:
        phones = plugged_in()
        if self._serial:
            phones = [p for p in phones if serial_of(p) == self._serial]
        if not phones:
            named = f" with serial {self._serial}" if self._serial else ""
            raise TransientDeviceError("connect", f"no phone{named} on USB", NO_PHONE)
        if len(phones) > 1:
            raise several([serial_of(p) for p in phones])
        # A phone that is plugged in again later must be the same one.
        self._serial = serial_of(phones[0])
        return UsbPipe(phones[0], self._connect_timeout_s, self._attendant)


def open_transport(spec: AndroidSpec, attendant: Attendant) -> AdbUsb:
    """`serial` is needed only with several phones on USB."""
    _usb_transport()
    return AdbUsb(spec.serial, spec.connect_timeout_s, attendant)


def plugged_in() -> list[Any]:
    """The phones on USB with debugging switched on. Raises UsageError without the package."""
    transport = _usb_transport()
    try:
        return list(transport.find_all_adb_devices())
    except Exception as error:  # libusb's errors differ from system to system
        raise TransientDeviceError("connect", f"USB: {clean(str(error))}", NO_PHONE) from None


def _usb_transport() -> Any:
    try:
        from adb_shell.transport.usb_transport import UsbTransport
    except (ImportError, OSError):
        raise UsageError(
            "transport adb_usb needs the package libusb1",
            "pip install 'mobile-bench-harness[usb]', or use `transport: adb_server`",
        ) from None
    return UsbTransport


def serial_of(phone: Any) -> str:
    """The serial of a phone on USB; empty if it cannot be read."""
    try:
        return clean(phone.serial_number or "", 64)
    except Exception:  # unreadable without permission
        return ""


def several(serials: list[str]) -> UsageError:
    """The error for more than one phone when nothing says which is meant."""
    return UsageError(
        f"{len(serials)} phones are connected: {', '.join(s or '?' for s in serials)}",
        "say which one with `serial:` in devices.yaml",
    )
