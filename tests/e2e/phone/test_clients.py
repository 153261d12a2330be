"""Independent ADB clients cannot tell the emulated device from a phone: adb-shell, Debian's adb,
and adbutils through Debian's adb server."""

from __future__ import annotations

import filecmp
import os
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.emulator import packets
from harness.emulator.daemon import Daemon
from harness.emulator.packets import Packet
from tests.paths import ROOT
from tests.phones import AdbServer, adb_home, adb_server, emulated

__all__ = ["adb_home"]

WORK = "/data/local/tmp"
MB = 1_000_000


@pytest.fixture
def phone() -> Iterator[Daemon]:
    with emulated() as daemon:
        yield daemon


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(50 * MB))
    return path


# --- Debian's adb ----------------------------------------------------------------------------


@pytest.mark.needs("adb")
class TestDebiansAdb:
    @pytest.fixture
    def adb(self, adb_home: Path, phone: Daemon) -> Iterator[AdbServer]:
        with adb_server(adb_home) as server:
            server.connect(phone.address)
            yield server

    def test_push_pull_compare(self, adb: AdbServer, big: Path, tmp_path: Path) -> None:
        assert adb("push", str(big), f"{WORK}/big.bin").returncode == 0
        assert adb("pull", f"{WORK}/big.bin", str(tmp_path / "back.bin")).returncode == 0
        assert filecmp.cmp(big, tmp_path / "back.bin", shallow=False)

    def test_folders(self, adb: AdbServer, phone: Daemon, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        (tree / "a" / "b").mkdir(parents=True)
        (tree / "a" / "one größe.txt").write_text("1")
        (tree / "a" / "b" / "two").write_text("2")
        assert adb("push", str(tree), WORK).returncode == 0
        assert (phone.phone.work / "tree/a/b/two").read_text() == "2"
        assert adb("pull", f"{WORK}/tree", str(tmp_path / "back")).returncode == 0
        assert (tmp_path / "back/a/one größe.txt").read_text() == "1"

    def test_shell_exit_status_and_outputs(self, adb: AdbServer) -> None:
        done = adb("shell", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    def test_shell_reads_its_input(self, adb: AdbServer, phone: Daemon) -> None:
        done = subprocess.run(
            ["adb", "-P", str(adb.port), "shell", "cat; echo end"],
            input=b"line\n" * 1000,
            capture_output=True,
            timeout=300,
            check=True,
        )
        assert done.stdout == b"line\n" * 1000 + b"end\n"

    def test_exec_out_is_binary(self, adb: AdbServer, phone: Daemon) -> None:
        data = bytes(range(256)) * 100
        (phone.phone.work / "bytes").write_bytes(data)
        assert adb("exec-out", f"cat {WORK}/bytes").stdout == data

    def test_two_at_once(self, adb: AdbServer, big: Path, phone: Daemon) -> None:
        codes: list[int] = []

        def push(name: str) -> None:
            codes.append(adb("push", str(big), f"{WORK}/{name}").returncode)

        threads = [threading.Thread(target=push, args=(n,)) for n in ("one", "two")]
        for thread in threads:
            thread.start()
        assert adb("shell", "echo meanwhile").stdout == b"meanwhile\n"
        for thread in threads:
            thread.join()
        assert codes == [0, 0]
        assert filecmp.cmp(phone.phone.work / "one", phone.phone.work / "two", shallow=False)

    def test_missing_files(self, adb: AdbServer, tmp_path: Path) -> None:
        assert adb("pull", f"{WORK}/none", str(tmp_path)).returncode != 0
        assert adb("shell", f"ls {WORK}/none").returncode != 0

    def test_what_devices_shows(self, adb: AdbServer, phone: Daemon) -> None:
        line = adb("devices", "-l").stdout.decode().splitlines()[1]
        assert phone.address in line
        assert "product:emulated_panther" in line
        assert " device " in line


# --- adb-shell -------------------------------------------------------------------------------


def test_adb_shell(phone: Daemon, tmp_path: Path) -> None:
    from adb_shell.adb_device import AdbDeviceTcp
    from adb_shell.auth.keygen import keygen
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner

    keygen(str(tmp_path / "key"))
    signer = PythonRSASigner.FromRSAKeyPath(str(tmp_path / "key"))
    device = AdbDeviceTcp("127.0.0.1", phone.port, default_transport_timeout_s=9)
    for _ in range(2):  # the second time by signature
        device.connect(rsa_keys=[signer], auth_timeout_s=5)
        assert device.shell("echo $((6*7))") == "42\n"
        device.close()
    device.connect(rsa_keys=[signer], auth_timeout_s=5)
    local = tmp_path / "file"
    local.write_bytes(os.urandom(300_000))
    device.push(str(local), f"{WORK}/file")
    device.pull(f"{WORK}/file", str(tmp_path / "back"))
    assert local.read_bytes() == (tmp_path / "back").read_bytes()
    assert [bytes(f.filename) for f in device.list(WORK)] == [b".", b"..", b"file"]
    assert device.stat(f"{WORK}/file")[1] == 300_000
    assert device.stat(f"{WORK}/none") == (0, 0, 0)
    device.close()


def test_a_wrong_signature_is_not_let_in(phone: Daemon, tmp_path: Path) -> None:
    """A client that knows a trusted public key and not its private half."""
    from adb_shell.adb_device import AdbDeviceTcp
    from adb_shell.auth.keygen import keygen
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner

    for name in ("trusted", "thief"):
        keygen(str(tmp_path / name))
    keys = phone.phone.root / "data/misc/adb/adb_keys"
    keys.write_bytes((tmp_path / "trusted.pub").read_bytes() + b"\n")
    phone.phone.refuse_key = True
    pub, priv = (tmp_path / "trusted.pub").read_text(), (tmp_path / "thief").read_text()
    device = AdbDeviceTcp("127.0.0.1", phone.port, default_transport_timeout_s=2)
    with pytest.raises(Exception, match="timed out"):
        device.connect(rsa_keys=[PythonRSASigner(pub, priv)], auth_timeout_s=1)
    device.close()
    signer = PythonRSASigner.FromRSAKeyPath(str(tmp_path / "trusted"))
    device = AdbDeviceTcp("127.0.0.1", phone.port, default_transport_timeout_s=2)
    assert device.connect(rsa_keys=[signer], auth_timeout_s=1)
    device.close()


# --- adbutils --------------------------------------------------------------------------------


@pytest.mark.needs("adb")
def test_adbutils(adb_home: Path, phone: Daemon, tmp_path: Path) -> None:
    import adbutils

    with adb_server(adb_home) as server:
        server.connect(phone.address)
        device = adbutils.AdbClient("127.0.0.1", server.port).device(phone.address)
        assert device.shell("getprop ro.product.model") == "Pixel 7 (emulated)"
        assert device.shell2("(exit 3)").returncode == 3
        assert device.prop.get("ro.serialno") == "EMULATED0001"
        local = tmp_path / "file"
        local.write_bytes(os.urandom(2 * MB))
        device.sync.push(str(local), f"{WORK}/file")
        assert device.sync.stat(f"{WORK}/file").size == 2 * MB
        device.sync.pull(f"{WORK}/file", str(tmp_path / "back"))
        assert local.read_bytes() == (tmp_path / "back").read_bytes()
        assert "file" in [f.path.rpartition("/")[2] for f in device.sync.iter_directory(WORK)]


# --- a real network --------------------------------------------------------------------------


@pytest.mark.needs("unshare")
def test_50_mb_at_mtu_1500_where_adb_shells_own_transport_fails(tmp_path: Path) -> None:
    """In a network namespace, because loopback's large MTU hides what adb-shell loses."""
    script = tmp_path / "push.py"
    script.write_text(
        textwrap.dedent(
            """
            import hashlib, os, pathlib, sys
            from adb_shell.adb_device import AdbDeviceTcp
            from harness.core.attendant import Attendant
            from harness.core.specs import AndroidSpec
            from harness.devices.transports import adb_tcp
            from tests.phones import emulated

            local = pathlib.Path(sys.argv[1]) / "big"
            local.write_bytes(os.urandom(50_000_000))
            with emulated(requires_auth=False) as phone:
                transport = adb_tcp.open_transport(
                    AndroidSpec(address=phone.address), Attendant()
                )
                transport.connect()
                transport.push(local, "/data/local/tmp/big")
                transport.close()
                same = (phone.phone.work / "big").read_bytes() == local.read_bytes()
                print("ours", same)
                device = AdbDeviceTcp("127.0.0.1", phone.port, default_transport_timeout_s=3)
                device.connect()
                try:
                    device.push(str(local), "/data/local/tmp/theirs", read_timeout_s=3)
                    print("theirs", True)
                except Exception as error:
                    print("theirs", type(error).__name__)
            """
        )
    )
    home = tmp_path / "android"
    done = subprocess.run(
        [
            *(["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]),
            "sh",
            "-c",
            f"{shutil.which('ip') or '/usr/sbin/ip'} link set lo up mtu 1500 && "
            f"exec {sys.executable} {script} {tmp_path}",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ".", "ANDROID_USER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "ours True"
    # Once adb-shell is corrected, our own byte transport can go.
    assert done.stdout.splitlines()[1] != "theirs True"


# --- bytes by hand ---------------------------------------------------------------------------


class Raw:
    """A client that says exactly what a test wants."""

    def __init__(self, phone: Daemon) -> None:
        self.socket = socket.create_connection(("127.0.0.1", phone.port), timeout=60)
        self.send(Packet(packets.CNXN, packets.VERSION_SKIP_CHECKSUM, 1 << 20, b"host::\0"))
        assert self.read().command == packets.CNXN

    def send(self, packet: Packet) -> None:
        self.socket.sendall(b"".join(packets.encode(packet, packets.VERSION_SKIP_CHECKSUM)))

    def read(self) -> Packet:
        return packets.decode(self.exactly, packets.VERSION_SKIP_CHECKSUM)

    def exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def open(self, service: bytes, local_id: int = 1) -> int:
        self.send(Packet(packets.OPEN, local_id, 0, service + b"\0"))
        answer = self.read()
        assert (answer.command, answer.arg1) == (packets.OKAY, local_id)
        return answer.arg0


@pytest.fixture
def raw() -> Iterator[Raw]:
    with emulated(requires_auth=False) as phone:
        (phone.phone.work / "file").write_bytes(b"x" * 10)
        client = Raw(phone)
        yield client
        client.socket.close()


def test_the_device_waits_for_okay(raw: Raw) -> None:
    """Flow control: no second WRTE before the first is acknowledged."""
    remote = raw.open(b"exec:head -c 3000000 /dev/zero")
    first = raw.read()
    assert first.command == packets.WRTE
    raw.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        raw.socket.recv(1)
    raw.socket.settimeout(5)
    total = len(first.data)
    while True:
        raw.send(Packet(packets.OKAY, 1, remote))
        packet = raw.read()
        if packet.command == packets.CLSE:
            break
        total += len(packet.data)
    assert total == 3_000_000


def test_sync_version_2(raw: Raw) -> None:
    remote = raw.open(b"sync:")

    def ask(data: bytes) -> None:
        raw.send(Packet(packets.WRTE, 1, remote, data))
        assert raw.read().command == packets.OKAY

    def answer() -> bytes:
        packet = raw.read()
        assert packet.command == packets.WRTE
        raw.send(Packet(packets.OKAY, 1, remote))
        return bytes(packet.data)

    path = f"{WORK}/new".encode()
    head = struct.pack("<4sI", b"SND2", len(path)) + path
    ask(head + struct.pack("<4sII", b"SND2", 0o644, 0))
    ask(struct.pack("<4sI", b"DATA", 3) + b"abc" + struct.pack("<4sI", b"DONE", 1_000_000))
    assert answer() == struct.pack("<4sI", b"OKAY", 0)
    ask(struct.pack("<4sI", b"STA2", len(path)) + path)
    name, error, _, _, mode, _, _, _, size, _, mtime, _ = struct.unpack("<4sIQQIIIIQqqq", answer())
    assert (name, error, mode & 0o777, size, mtime) == (b"STA2", 0, 0o666, 3, 1_000_000)
    ask(struct.pack("<4sI", b"RCV2", len(path)) + path + struct.pack("<4sI", b"RCV2", 0))
    assert answer() == struct.pack("<4sI", b"DATA", 3) + b"abc"
    assert answer() == struct.pack("<4sI", b"DONE", 0)


def test_nothing_leads_out_of_the_phones_folder(raw: Raw) -> None:
    remote = raw.open(b"sync:")
    path = b"/data/../../../../../../etc/passwd"
    raw.send(Packet(packets.WRTE, 1, remote, struct.pack("<4sI", b"RECV", len(path)) + path))
    assert raw.read().command == packets.OKAY
    assert bytes(raw.read().data).startswith(b"FAIL")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        struct.pack("<6I", packets.WRTE, 1, 1, 0xFFFFFFFF, 0, packets.WRTE ^ 0xFFFFFFFF),
        struct.pack("<6I", packets.OPEN, 1, 0, 4, 0, 12345) + b"shel",
    ],
)
def test_nonsense_ends_the_connection(raw: Raw, data: bytes) -> None:
    raw.socket.sendall(data)
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            raw.exactly(1)


def test_unknown_services_are_refused(raw: Raw) -> None:
    raw.send(Packet(packets.OPEN, 5, 0, b"tcp:22\0"))
    answer = raw.read()
    assert (answer.command, answer.arg0, answer.arg1) == (packets.CLSE, 0, 5)


def test_it_listens_on_loopback_only(phone: Daemon) -> None:
    assert phone._listener.getsockname()[0] == "127.0.0.1"
