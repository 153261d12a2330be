"""The sum of every packet: for old phones, which check it, and for nobody else."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError
from harness.core.specs import AndroidSpec
from harness.devices.transports import adb_tcp
from harness.emulator.packets import (
    CLSE,
    CNXN,
    HEADER,
    OKAY,
    OPEN,
    VERSION_MIN,
    VERSION_SKIP_CHECKSUM,
    WRTE,
)
from tests.phones import adb_home, adb_server, emulated

__all__ = ["adb_home"]
pytestmark = pytest.mark.usefixtures("adb_home")

OLD, NEW = VERSION_MIN, VERSION_SKIP_CHECKSUM
WORK = "/data/local/tmp"


class Phone:
    """Answers one command with `hi`, and keeps the head and the payload of what it gets."""

    def __init__(self, version: int, honest: bool) -> None:
        self._version = version
        self._honest = honest
        self.got: list[tuple[tuple[int, ...], bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as sock, contextlib.suppress(OSError):
            file = sock.makefile("rb")
            while head := file.read(HEADER.size):
                command, arg0, _, length, _, _ = fields = HEADER.unpack(head)
                self.got.append((fields, file.read(length)))
                if command == CNXN:
                    self._send(sock, CNXN, self._version, 1 << 20, b"device::\0")
                if command == OPEN:
                    self._send(sock, OKAY, 7, arg0, b"")
                    frames = struct.pack("<BI2sBIB", 1, 2, b"hi", 3, 1, 0)
                    self._send(sock, WRTE, 7, arg0, frames)
                    self._send(sock, CLSE, 7, arg0, b"")

    def _send(self, sock: socket.socket, command: int, arg0: int, arg1: int, data: bytes) -> None:
        total = sum(data) if self._honest else 0
        sock.sendall(
            HEADER.pack(command, arg0, arg1, len(data), total, ~command & 0xFFFFFFFF) + data
        )


def say_hi(phone: Phone) -> bytes:
    transport = adb_tcp.open_transport(AndroidSpec(address=phone.address), Attendant())
    with contextlib.closing(transport):
        transport.connect()
        return transport.shell("echo hi", 5).stdout


@pytest.mark.parametrize("version", [OLD, NEW])
def test_only_an_old_phone_gets_sums(version: int) -> None:
    phone = Phone(version, honest=version == OLD)
    assert say_hi(phone) == b"hi"
    (greeting, banner), *rest = phone.got
    # The greeting has one in any case: who it is for is not known yet.
    assert greeting[1] == NEW
    assert greeting[4] == sum(banner)
    assert rest
    for head, data in rest:
        assert head[4] == (sum(data) if version == OLD else 0)
    assert any(data for _, data in rest)


def test_the_sums_of_an_old_phone_are_checked() -> None:
    with pytest.raises(StableDeviceError, match="checksum"):
        say_hi(Phone(OLD, honest=False))


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_large_file_goes_to_phones_of_both_versions(version: int, tmp_path: Path) -> None:
    """The emulated phone ends the connection at a wrong sum, if it is an old one."""
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(os.urandom(9_000_001))
    with emulated(adb_version=version) as phone:
        transport = adb_tcp.open_transport(AndroidSpec(address=phone.address), Attendant())
        with contextlib.closing(transport):
            transport.connect()
            assert transport.push(local, f"{WORK}/file")
            transport.pull(f"{WORK}/file", back)
    assert back.read_bytes() == local.read_bytes()


@pytest.mark.needs("adb")
@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_emulated_phone_keeps_the_rule_of_adb(
    version: int, tmp_path: Path, adb_home: Path
) -> None:
    local = tmp_path / "local"
    local.write_bytes(os.urandom(3_000_001))
    with emulated(adb_version=version) as phone, adb_server(adb_home) as adb:
        adb.connect(phone.address)
        pushed = adb("push", str(local), f"{WORK}/file")
        assert pushed.returncode == 0, pushed.stderr
        assert (phone.phone.work / "file").read_bytes() == local.read_bytes()
