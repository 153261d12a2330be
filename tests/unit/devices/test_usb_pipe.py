"""The USB cable, played: what libusb may answer, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
import usb1
from adb_shell.exceptions import UsbReadFailedError

from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, StableDeviceError, TransientDeviceError, UsageError
from harness.devices.transports import adb_usb
from harness.devices.transports._packets import HEADER
from harness.devices.transports.adb_usb import AdbUsb, UsbPipe


class Cable:
    """Gives the answers one by one; those that are errors are raised."""

    serial_number = "A1"

    def __init__(self, *answers: Any, takes: int = 1 << 20, refuses: Exception | None = None):
        self.answers, self.takes, self.refuses = list(answers), takes, refuses
        self.written = b""

    def connect(self, timeout_s: float) -> None:
        if self.refuses:
            raise self.refuses

    def close(self) -> None:
        raise usb1.USBErrorNoDevice

    def bulk_read(self, size: int, timeout_s: float) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    def bulk_write(self, data: bytes, timeout_s: float) -> int:
        self.written += data[: self.takes]
        return len(data[: self.takes])


def pipe(cable: Cable, timeout_s: float = 5) -> UsbPipe:
    return UsbPipe(cable, timeout_s, Attendant())


def silence() -> UsbReadFailedError:
    return UsbReadFailedError("nothing came", usb1.USBErrorTimeout())


def test_a_short_write_goes_on_until_all_is_sent() -> None:
    cable = Cable(takes=7)
    pipe(cable).write(b"x" * 30)
    assert cable.written == b"x" * 30


def test_a_cable_that_takes_nothing_is_broken() -> None:
    with pytest.raises(TransientDeviceError, match="broke"):
        pipe(Cable(takes=0)).write(b"x")


def test_a_phone_that_is_silent_for_a_while_is_waited_for() -> None:
    assert pipe(Cable(silence(), silence(), b"OKAY")).read(HEADER.size) == b"OKAY"


def test_a_phone_that_is_silent_for_good_is_not() -> None:
    cable = Cable(*(silence() for _ in range(100_000)))
    with pytest.raises(TransientDeviceError, match="did not answer within"):
        pipe(cable, timeout_s=0.05).read(HEADER.size)


def test_an_error_of_the_cable_is_not_taken_for_silence() -> None:
    with pytest.raises(TransientDeviceError, match="broke"):
        pipe(Cable(UsbReadFailedError("gone", usb1.USBErrorNoDevice()))).read(24)


def test_nothing_read_is_the_end() -> None:
    with pytest.raises(TransientDeviceError, match="broke"):
        pipe(Cable(b"")).read(HEADER.size)


@pytest.mark.parametrize(
    ("refusal", "kind", "fix"),
    [
        (usb1.USBErrorBusy(), StableDeviceError, "adb kill-server"),
        (usb1.USBErrorAccess(), StableDeviceError, "udev rules"),
        (usb1.USBErrorIO(), TransientDeviceError, "USB debugging"),
    ],
)
def test_what_keeps_us_from_the_phone_says_how_to_fix_it(
    refusal: Exception, kind: type[HarnessError], fix: str
) -> None:
    with pytest.raises(kind) as caught:
        pipe(Cable(refuses=refusal)).connect()
    assert fix in caught.value.fix


def test_closing_never_raises() -> None:
    pipe(Cable()).close()


@pytest.mark.parametrize(
    ("serials", "wanted", "words"),
    [
        ([], None, "no phone on USB"),
        (["A1"], "B2", "no phone with serial B2"),
        (["A1", "B2"], None, "2 phones are connected: A1, B2"),
    ],
)
def test_which_phone_is_meant(
    monkeypatch: pytest.MonkeyPatch, serials: list[str], wanted: str | None, words: str
) -> None:
    cables = [Cable() for _ in serials]
    for cable, serial in zip(cables, serials, strict=True):
        cable.serial_number = serial
    monkeypatch.setattr(adb_usb, "plugged_in", lambda: cables)
    with pytest.raises((TransientDeviceError, UsageError), match=words):
        AdbUsb(wanted, 1, Attendant())._make_pipe()


def test_a_phone_plugged_in_again_must_be_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    transport, cable = AdbUsb(None, 1, Attendant()), Cable()
    monkeypatch.setattr(adb_usb, "plugged_in", lambda: [cable])
    transport._make_pipe()
    cable.serial_number = "OTHER"
    with pytest.raises(TransientDeviceError, match="no phone with serial A1"):
        transport._make_pipe()
