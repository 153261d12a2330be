"""A phone that means harm: it cannot hang the harness, fill its memory, write where it may not, or
reach the terminal and the page. What it says is given byte by byte, over a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from harness.core.attendant import Attendant
from harness.core.errors import DeviceError
from harness.core.specs import AndroidSpec
from harness.emulator import packets
from harness.emulator.faults import Faults
from harness.emulator.packets import CLSE, CNXN, OKAY, OPEN, WRTE, Packet
from harness.transports import adb_tcp
from tests.phones import adb_home, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/data/models/tiny_float32.tflite"
QUICK_S = 10.0

Evil = Callable[["Peer"], None]


class Peer:
    """The phone's end of one connection. Old ADB: every packet carries the sum of its bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def send(self, command: int, arg0: int, arg1: int, data: bytes = b"") -> None:
        packet = Packet(command, arg0, arg1, data)
        self.socket.sendall(b"".join(packets.encode(packet, packets.VERSION_MIN)))

    def read(self) -> Packet:
        return packets.decode(self._exactly, packets.VERSION_SKIP_CHECKSUM)

    def greet(self) -> None:
        assert self.read().command == CNXN
        self.send(CNXN, packets.VERSION_MIN, 1 << 20, b"device::features=shell_v2\0")

    def accept(self) -> int:
        """The client opens a stream; its number."""
        self.greet()
        packet = self.read()
        assert packet.command == OPEN
        self.send(OKAY, 7, packet.arg0)
        return packet.arg0

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


@contextlib.contextmanager
def phone(evil: Evil) -> Iterator[str]:
    """The address of a phone that does this to whoever connects."""

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError, EOFError, AssertionError):
                evil(Peer(sock))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def frames_without_end(peer: Peer) -> None:
    stream = peer.accept()
    body = b"x" * 60_000
    while True:
        peer.send(WRTE, 7, stream, struct.pack("<BI", 1, len(body)) + body)
        while peer.read().command != OKAY:
            pass


def a_frame_of_four_gigabytes(peer: Peer) -> None:
    stream = peer.accept()
    peer.send(WRTE, 7, stream, struct.pack("<BI", 1, 0xFFFFFFFF) + b"x")
    peer.read()
    time.sleep(60)


def a_packet_of_four_gigabytes(peer: Peer) -> None:
    stream = peer.accept()
    header = struct.pack("<6I", WRTE, 7, stream, 0xFFFFFFFF, 0, WRTE ^ 0xFFFFFFFF)
    peer.socket.sendall(header + b"x" * 1000)
    time.sleep(60)


def a_packet_shorter_than_it_says(peer: Peer) -> None:
    stream = peer.accept()
    peer.socket.sendall(struct.pack("<6I", WRTE, 7, stream, 1000, 5, WRTE ^ 0xFFFFFFFF) + b"short")


def a_wrong_sum(peer: Peer) -> None:
    stream = peer.accept()
    peer.socket.sendall(struct.pack("<6I", WRTE, 7, stream, 4, 1, WRTE ^ 0xFFFFFFFF) + b"abcd")
    time.sleep(60)


def packets_of_nobody(peer: Peer) -> None:
    peer.accept()
    while True:
        peer.send(WRTE, 99, 12345, b"for a stream that is not there" * 1000)


def no_end_to_the_greeting(peer: Peer) -> None:
    while True:
        peer.socket.sendall(b"\0" * 65536)


def silence(peer: Peer) -> None:
    peer.accept()
    time.sleep(60)


def an_exit_status_and_no_end(peer: Peer) -> None:
    stream = peer.accept()
    peer.send(WRTE, 7, stream, struct.pack("<BI", 3, 9999) + b"\0")
    time.sleep(60)


def hang_up(peer: Peer) -> None:
    stream = peer.accept()
    peer.send(CLSE, 7, stream)


EVIL = [
    frames_without_end,
    a_frame_of_four_gigabytes,
    a_packet_of_four_gigabytes,
    a_packet_shorter_than_it_says,
    a_wrong_sum,
    packets_of_nobody,
    no_end_to_the_greeting,
    silence,
    an_exit_status_and_no_end,
    hang_up,
]


@pytest.mark.parametrize("evil", EVIL, ids=lambda e: e.__name__)
def test_nothing_hangs_and_the_error_is_one_line(evil: Evil) -> None:
    began = time.monotonic()
    with phone(evil) as address:
        spec = AndroidSpec(transport="adb_tcp", address=address, connect_timeout_s=3)
        transport = adb_tcp.open_transport(spec, Attendant())
        with pytest.raises(DeviceError) as caught:
            transport.connect()
            transport.shell("echo hello", 3)
        transport.close()
    assert "\n" not in str(caught.value)
    assert caught.value.mend
    assert time.monotonic() - began < QUICK_S * 2


def a_file_without_end(peer: Peer) -> None:
    stream = peer.accept()
    assert peer.read().command == WRTE
    peer.send(OKAY, 7, stream)
    peer.send(WRTE, 7, stream, struct.pack("<4sI", b"DATA", 0x7FFFFFFF) + b"x" * 1000)
    time.sleep(60)


def test_a_file_that_lies_about_its_length_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "pulled"
    folder.mkdir()
    with phone(a_file_without_end) as address:
        spec = AndroidSpec(transport="adb_tcp", address=address, connect_timeout_s=3)
        transport = adb_tcp.open_transport(spec, Attendant())
        transport.connect()
        with pytest.raises(DeviceError):
            transport.pull("/data/local/tmp/x", folder / "x")
        transport.close()
    assert list(folder.iterdir()) == []


def test_escape_codes_and_path_tricks_reach_neither_terminal_nor_files(tmp_path: Path) -> None:
    """The phone calls itself something with escape codes and a script, and lists files outside."""
    run = tmp_path / "run"
    run.mkdir()
    with emulated(faults=Faults(escape_codes=True, path_tricks=True)) as evil:
        entry = {
            "kind": "android",
            "transport": "adb_tcp",
            "address": evil.address,
            "runner": {"device_path": "/system/bin/benchmark_model"},
        }
        (run / "devices.yaml").write_text(yaml.safe_dump({"devices": {"evil": entry}}))
        done = subprocess.run(
            [sys.executable, "-m", "harness", "bench", TINY, "--device", "evil", "--launches", "1",
             "--iterations", "2", "--html", "r.html", "--json", "r.json", "--markdown", "r.md",
             "--junit", "r.xml", "--csv", "r.csv"],
            cwd=run,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        listed = subprocess.run(
            [sys.executable, "-m", "harness", "devices"],
            cwd=run,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
            check=True,
        )
    assert done.returncode == 0, done.stderr
    assert b"evil" in done.stdout
    for text in (done.stdout, done.stderr, listed.stdout, listed.stderr):
        assert b"\x1b" not in text
        assert b"\x07" not in text
    for file in run.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"\x1b" not in data, file
            assert b"\\u001b" not in data, file
    assert b"<script>alert(1)" not in (run / "r.html").read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {"run", "android"}, "android holds our key"
