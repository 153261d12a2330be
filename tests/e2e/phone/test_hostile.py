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

import msgspec
import pytest
import yaml

from harness.core.attendant import Attendant
from harness.core.errors import DeviceError, TransientDeviceError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android.target import open_target
from harness.devices.transports import adb_server, adb_tcp
from harness.devices.transports._sync import receive_file
from harness.emulator import packets
from harness.emulator.faults import Faults
from harness.emulator.packets import (
    AUTH,
    AUTH_TOKEN,
    CLSE,
    CNXN,
    OKAY,
    OPEN,
    WRTE,
    Packet,
)
from harness.results import store
from tests.paths import ROOT
from tests.phones import AdbServer, adb_home, command, emulated
from tests.phones import adb_server as start_adb_server

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

TINY = ROOT / "tests/data/models/tiny_float32.tflite"
QUICK_S = 60.0  # what hangs does so for ever

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


def no_stream(peer: Peer) -> None:
    """Connected, and deaf to the request for a stream."""
    peer.greet()
    assert peer.read().command == OPEN
    time.sleep(60)


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


def packets_of_no_bytes(peer: Peer) -> None:
    assert peer.read().command == CNXN
    peer.send(CNXN, packets.VERSION_MIN, 0, b"device::features=shell_v2\0")
    time.sleep(60)


def a_token_to_sign_that_is_no_token(peer: Peer) -> None:
    assert peer.read().command == CNXN
    peer.send(AUTH, AUTH_TOKEN, 0, bytes(1000))
    time.sleep(60)


def frames_of_nothing(peer: Peer) -> None:
    stream = peer.accept()
    while True:
        peer.send(WRTE, 7, stream, struct.pack("<BI", 1, 0) * 10_000)
        while peer.read().command != OKAY:
            pass


EVIL = [
    packets_of_no_bytes,
    a_token_to_sign_that_is_no_token,
    frames_of_nothing,
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
    assert caught.value.fix
    assert time.monotonic() - began < QUICK_S


def through(server: AdbServer, address: str, attendant: Attendant) -> adb_server.AdbServer:
    """Connected to the phone at this address."""
    spec = AndroidSpec(
        transport="adb_server",
        address=address,
        connect_timeout_s=5,
        adb_server=f"127.0.0.1:{server.port}",
    )
    transport = adb_server.open_transport(spec, attendant)
    transport.connect()
    return transport


@pytest.mark.needs("adb")
@pytest.mark.parametrize(
    "evil",
    [frames_without_end, a_frame_of_four_gigabytes, frames_of_nothing, silence,
     an_exit_status_and_no_end, hang_up],
    ids=lambda e: e.__name__,
)  # fmt: skip
def test_nothing_hangs_through_an_adb_server(evil: Evil, adb_home: Path) -> None:
    """The server passes on what the phone says in a stream."""
    began = time.monotonic()
    with phone(evil) as address, start_adb_server(adb_home) as server:
        transport = through(server, address, Attendant())
        with pytest.raises(DeviceError) as caught:
            transport.shell("echo hello", 3)
        transport.close()
    assert "\n" not in str(caught.value)
    assert caught.value.fix
    assert time.monotonic() - began < QUICK_S


@pytest.mark.needs("adb")
def test_ctrl_c_ends_waiting_for_a_stream_through_an_adb_server(adb_home: Path) -> None:
    attendant = Attendant()
    with phone(no_stream) as address, start_adb_server(adb_home) as server:
        transport = through(server, address, attendant)
        began = time.monotonic()
        threading.Timer(0.5, attendant.stopping.set).start()
        with pytest.raises(KeyboardInterrupt):
            transport.shell("echo hello", 60)
    assert time.monotonic() - began < QUICK_S


def chunks(head: bytes, body: bytes = b"", pause_s: float = 0) -> Evil:
    """Answers a request for a file with these chunks, for ever."""

    def evil(peer: Peer) -> None:
        stream = peer.accept()
        assert peer.read().command == WRTE
        peer.send(OKAY, 7, stream)
        while True:
            peer.send(WRTE, 7, stream, head + body)
            while peer.read().command != OKAY:
                pass
            time.sleep(pause_s)

    return evil


@pytest.mark.parametrize(
    "evil",
    [
        chunks(struct.pack("<4sI", b"DATA", 0x7FFFFFFF), b"x" * 1000),
        chunks(struct.pack("<4sI", b"DATA", 0)),
        chunks(struct.pack("<4sI", b"DATA", 60_000), b"x" * 60_000),
        chunks(struct.pack("<4sIIII", b"DENT", 0o644, 5, 0, 9), b"../../etc"),
        chunks(struct.pack("<4sI", b"FAIL", 0xFFFFFFFF), b"x" * 60_000),
    ],
    ids=["four gigabytes", "nothing, for ever", "without end", "other files", "a long excuse"],
)
def test_a_file_that_lies_leaves_nothing(tmp_path: Path, evil: Evil) -> None:
    folder = tmp_path / "pulled"
    folder.mkdir()
    began = time.monotonic()
    with phone(evil) as address:
        spec = AndroidSpec(transport="adb_tcp", address=address, connect_timeout_s=3)
        transport = adb_tcp.open_transport(spec, Attendant())
        transport.connect()
        with pytest.raises(DeviceError):
            transport.pull("/data/local/tmp/x", folder / "x", 10_000_000)
        transport.close()
    assert list(folder.iterdir()) == []
    assert time.monotonic() - began < QUICK_S


def test_a_phone_that_lets_a_byte_through_now_and_then_does_not_hold_us(tmp_path: Path) -> None:
    with phone(chunks(struct.pack("<4sI", b"DATA", 1), b"x", 0.3)) as address:
        spec = AndroidSpec(transport="adb_tcp", address=address, connect_timeout_s=3)
        transport = adb_tcp.open_transport(spec, Attendant())
        transport.connect()
        stream = transport.open_stream("sync:", 3)
        with (tmp_path / "x").open("wb") as sink, pytest.raises(TransientDeviceError):
            receive_file(stream, "x", sink, stall_s=1, max_bytes=10_000)
        transport.close()


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xff\xfe",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n%%%%\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_key_that_is_none(adb_home: Path, key: bytes) -> None:
    (adb_home / "adbkey").write_bytes(key)
    with emulated() as daemon:
        spec = AndroidSpec(transport="adb_tcp", address=daemon.address)
        with pytest.raises(DeviceError, match="adbkey cannot be used") as caught:
            adb_tcp.open_transport(spec, Attendant()).connect()
    assert "\n" not in str(caught.value)
    assert caught.value.fix


HUGE = "9" * 5000
LIES = {
    "battery": ("dumpsys", f"echo '  level: {HUGE}'; echo '  temperature: -{HUGE}'"),
    "space": ("df", f"echo Filesystem; echo '/data 1 1 {HUGE} 1% /data'"),
    "properties": ("getprop", f"echo {HUGE}²"),
}


@pytest.mark.parametrize("name", LIES)
def test_numbers_that_are_none_only_go_unknown(tmp_path: Path, name: str) -> None:
    with emulated() as daemon:
        command(daemon, *LIES[name])
        cpu = daemon.phone.root / "sys/devices/system/cpu"
        for number in ("²", "9" * 12, HUGE[:200]):
            (cpu / f"cpu9{number}/cpufreq").mkdir(parents=True)
            (cpu / f"cpu9{number}/cpufreq/cpuinfo_max_freq").write_text("9" * 5000)
        spec = AndroidSpec(
            transport="adb_tcp",
            address=daemon.address,
            affinity="big",
            runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
        )
        target = open_target("evil", spec, tmp_path, Attendant())
        facts = target.facts()
        target.close()
    assert facts.cores == 8
    assert msgspec.json.encode(facts)


def test_a_bug_of_ours_ends_one_device_in_one_line(tmp_path: Path) -> None:
    """A phone makes the harness fall over in a way nobody foresaw; the other one goes on."""
    with emulated() as good, emulated() as evil:
        entries = {
            name: {
                "kind": "android",
                "transport": "adb_tcp",
                "address": it.address,
                "runner": {"device_path": "/system/bin/benchmark_model"},
            }
            for name, it in (("good", good), ("evil", evil))
        }
        (tmp_path / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
        # The seam of the test: a reader of answers that fails for this phone only.
        code = (
            "import sys; from harness.cli import main; from harness.devices.android import facts\n"
            "read = facts.read_conditions\n"
            "def fall(answers):\n"
            "    if 'level: 1' in answers['battery']: raise ZeroDivisionError('a\\nb')\n"
            "    return read(answers)\n"
            "facts.read_conditions = fall\n"
            "sys.exit(main(sys.argv[1:]))"
        )
        command(evil, "dumpsys", "echo '  level: 1'")
        done = subprocess.run(
            [sys.executable, "-c", code, "bench", TINY, "--device", "good,evil", "--launches", "1",
             "--iterations", "2", "--json", "r.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        assert list(evil.phone.work.iterdir()) == []
        assert evil.phone.fixed_performance is False
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if "ZeroDivisionError" in x]
    assert line.startswith("evil failed (harness): ZeroDivisionError: a b; this is a bug")
    (log,) = tmp_path.glob("reports/*/logs/error-evil.log")
    assert "Traceback" in log.read_text()
    cases = {c.device: c for c in store.read_report(tmp_path / "r.json").cases}
    assert len(cases["good"].launches) == 1
    assert cases["evil"].status == "failed"


def test_path_tricks_write_nothing_elsewhere(tmp_path: Path) -> None:
    """The phone is called after a path, and answers with files nobody asked for."""
    before = set(Path("/tmp").glob("owned*"))
    with emulated(faults=Faults(path_tricks=True)) as evil:
        spec = AndroidSpec(
            transport="adb_tcp",
            address=evil.address,
            runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
        )
        run = tmp_path / "a/b/c/run"
        run.mkdir(parents=True)
        (run / "devices.yaml").write_bytes(msgspec.yaml.encode({"devices": {"evil": spec}}))
        done = subprocess.run(
            [sys.executable, "-m", "harness", "bench", TINY, "--device", "evil", "--launches", "1",
             "--iterations", "2"],
            cwd=run,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert "does not speak ADB properly" in done.stderr
        assert list(evil.phone.work.iterdir()) == []
    assert {p.name for p in run.iterdir()} == {"devices.yaml", "reports"}
    assert not list(tmp_path.rglob("*owned*"))
    assert set(Path("/tmp").glob("owned*")) == before


def test_escape_codes_reach_neither_terminal_nor_files(tmp_path: Path) -> None:
    """The phone calls itself something with escape codes and a script."""
    run = tmp_path / "run"
    run.mkdir()
    with emulated(faults=Faults(escape_codes=True)) as evil:
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
