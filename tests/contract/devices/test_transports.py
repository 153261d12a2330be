"""Every transport keeps the same promises, against an emulated phone over real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import (
    DeviceError,
    StableDeviceError,
    TransientDeviceError,
    UsageError,
)
from harness.core.specs import AndroidSpec
from harness.devices.transports import Transport, _shell, adb_server, adb_tcp
from harness.devices.transports._base import _HASH_GROWING
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.userland import VARIABLE as USERLAND
from tests.phones import USERLANDS, AdbServer, Listening, adb_home, empty_adb_home, emulated
from tests.phones import adb_server as start_adb_server

pytestmark = pytest.mark.slow  # each waits for a phone behind a socket

__all__ = ["adb_home", "empty_adb_home"]

WORK = "/data/local/tmp"
HANGS_S = 600  # against a hang only
Opener = Callable[..., Transport]
NAMES = [
    "plain.tflite",
    "with space.tflite",
    "single'quote.tflite",
    'double"quote.tflite',
    "$(touch owned).tflite",
    "`touch owned`.tflite",
    "semi;touch owned;.tflite",
    "new\nline.tflite",
    "größe-模型.tflite",
    "-rf.tflite",
    "a&b|c>d<e*?[x]~#!.tflite",
]


@pytest.fixture(params=["adb_tcp", pytest.param("adb_server", marks=pytest.mark.needs("adb"))])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opener(kind: str, adb_home: Path) -> Iterator[Opener]:
    """Opens a transport of the kind to a phone."""
    with contextlib.ExitStack() as stack:
        server: AdbServer | None = None
        if kind == "adb_server":
            server = stack.enter_context(start_adb_server(adb_home))

        def open_to(
            phone: Daemon,
            timeout_s: float = 10,
            connect: bool = True,
            attendant: Attendant | None = None,
        ) -> Transport:
            spec = AndroidSpec(
                transport=kind,
                address=phone.address,
                connect_timeout_s=timeout_s,
                adb_server=f"127.0.0.1:{server.port}" if server else None,
            )
            transport: Transport = (adb_server if server else adb_tcp).open_transport(
                spec, attendant or Attendant()
            )
            stack.callback(transport.close)
            if connect:
                transport.connect()
            return transport

        yield open_to


def test_shell_tells_the_real_status_and_both_outputs(opener: Opener) -> None:
    with emulated() as phone:
        transport = opener(phone)
        result = transport.shell("echo out; echo err >&2; exit 7", 10)
        assert result == (7, b"out\n", b"err\n")
        assert transport.shell("true", 10).exit_code == 0
        assert transport.shell("no-such-command", 10).exit_code == 127
        assert transport.shell("kill -ABRT $$", 10).exit_code == 134


def test_shell_tells_the_real_status_without_shell_v2(opener: Opener) -> None:
    with emulated("old") as phone:
        transport = opener(phone)
        assert transport.shell("echo out; echo err >&2; exit 7", 10) == (7, b"out\nerr\n", b"")
        assert transport.shell("printf 'no newline'", 10) == (0, b"no newline", b"")
        assert transport.shell("exit 0", 10).exit_code == 0


def test_a_command_may_be_silent_for_long_and_the_connection_stays_usable(opener: Opener) -> None:
    with emulated() as phone:
        transport = opener(phone, timeout_s=5)
        assert transport.shell("sleep 7; echo done", 30).stdout == b"done\n"
        with pytest.raises(TransientDeviceError) as caught:
            transport.shell("sleep 60", 1)
        assert "within 1 s" in str(caught.value)
        assert transport.shell("echo again", 10).stdout == b"again\n"


def test_large_output_arrives_whole_and_endless_output_ends(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shell, "MAX_OUTPUT_BYTES", 6 << 20)
    with emulated() as phone:
        transport = opener(phone)
        out = transport.shell("head -c 5000000 /dev/zero", HANGS_S).stdout
        assert out == bytes(5_000_000)
        with pytest.raises(StableDeviceError, match="printed more than 6 MiB"):
            transport.shell("yes", HANGS_S)
        assert transport.shell("echo again", HANGS_S).stdout == b"again\n"


def test_push_and_pull_give_back_the_same_bytes(opener: Opener, tmp_path: Path) -> None:
    local, back = tmp_path / "file.bin", tmp_path / "back.bin"
    seen: list[tuple[int, int]] = []
    with emulated() as phone:
        transport = opener(phone)
        for size in (0, 1, 65_535, 65_536, 1_048_576, 7_000_001):
            local.write_bytes(os.urandom(size))
            seen.clear()
            assert transport.push(local, f"{WORK}/{size}.bin", lambda *p: seen.append(p)) is True
            transport.pull(f"{WORK}/{size}.bin", back)
            assert back.read_bytes() == local.read_bytes(), size
            assert sorted(p.name for p in phone.phone.work.iterdir()) == [f"{size}.bin"]
            assert not size or seen[-1] == (size, size)
            (phone.phone.work / f"{size}.bin").unlink()


def test_push_is_skipped_only_when_the_hash_there_is_the_same(
    opener: Opener, tmp_path: Path
) -> None:
    local = tmp_path / "model.tflite"
    local.write_bytes(b"a" * 1000)
    with emulated() as phone:
        transport = opener(phone)
        remote = f"{WORK}/model.tflite"
        assert transport.push(local, remote) is True
        assert transport.push(local, remote) is False
        local.write_bytes(b"b" * 1000)  # the same size
        assert transport.push(local, remote) is True
        assert (phone.phone.work / "model.tflite").read_bytes() == b"b" * 1000
        (phone.phone.work / "model.tflite").write_bytes(b"c" * 1000)  # damaged over there
        assert transport.push(local, remote) is True


def test_any_name_is_only_a_name(opener: Opener, tmp_path: Path) -> None:
    local, back = tmp_path / "model", tmp_path / "back"
    with emulated() as phone:
        transport = opener(phone)
        for name in NAMES:
            local.write_bytes(name.encode())
            transport.push(local, f"{WORK}/{name}")
            assert [p.name for p in phone.phone.work.iterdir()] == [name]
            transport.pull(f"{WORK}/{name}", back)
            assert back.read_bytes() == name.encode(), name
            shown = transport.shell(f"cat {shlex.quote(f'{WORK}/{name}')}", 10)
            assert shown == (0, name.encode(), b""), name
            (phone.phone.work / name).unlink()


def test_pull_of_a_missing_file_leaves_nothing(opener: Opener, tmp_path: Path) -> None:
    with emulated() as phone:
        transport = opener(phone)
        with pytest.raises(StableDeviceError, match="No such file"):
            transport.pull(f"{WORK}/none", tmp_path / "back")
    assert list(tmp_path.glob("*back*")) == []


def test_a_full_disk_is_seen_before_the_push(opener: Opener, tmp_path: Path) -> None:
    local = tmp_path / "big"
    local.write_bytes(bytes(3_000_000))
    with emulated(faults=Faults(full_disk=True)) as phone:
        transport = opener(phone)
        with pytest.raises(StableDeviceError) as caught:
            transport.push(local, f"{WORK}/big")
        assert "free some space" in caught.value.fix
        assert list(phone.phone.work.iterdir()) == []


def test_a_folder_that_may_not_be_written_to(opener: Opener, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(bytes(10_000_000))
    with emulated(faults=Faults(read_only=True)) as phone:
        transport = opener(phone)
        with pytest.raises(StableDeviceError) as caught:
            transport.push(local, f"{WORK}/file")
        assert "Permission denied" in caught.value.message
        assert "work_dir" in caught.value.fix


def test_a_wrong_hash_is_not_believed(opener: Opener, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(bytes(1000))
    with emulated(faults=Faults(wrong_hash=True)) as phone:
        transport = opener(phone)
        with pytest.raises(TransientDeviceError, match="arrived damaged"):
            transport.push(local, f"{WORK}/file")
        assert list(phone.phone.work.iterdir()) == []


def test_a_file_that_has_changed_is_not_taken_for_the_one_that_was_known(
    opener: Opener, tmp_path: Path
) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"built")
    known = sha(local)
    with emulated() as phone:
        transport = opener(phone)
        assert transport.push(local, f"{WORK}/file", sha256=known) is True
        assert transport.push(local, f"{WORK}/file", sha256=known) is False
        (phone.phone.work / "file").unlink()
        local.write_bytes(b"other")
        with pytest.raises(StableDeviceError, match="has changed") as caught:
            transport.push(local, f"{WORK}/file", sha256=known)
        assert "run again" in caught.value.fix
        assert list(phone.phone.work.iterdir()) == []


def test_unplugged_during_a_push_and_picked_up_again(opener: Opener, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(os.urandom(20_000_000))
    faults = Faults(unplug_after_bytes=5_000_000, unplugged_for_s=0.5)
    with emulated(faults=faults) as phone:
        transport = opener(phone)
        with pytest.raises(TransientDeviceError):
            transport.push(local, f"{WORK}/file")
        assert not (phone.phone.work / "file").exists()
        time.sleep(1)
        reconnect(transport)
        assert transport.push(local, f"{WORK}/file") is True
        assert sha(phone.phone.work / "file") == sha(local)


def test_unplugged_during_a_command(opener: Opener) -> None:
    with emulated(faults=Faults(unplug_during="sleep", unplugged_for_s=0.5)) as phone:
        transport = opener(phone)
        began = time.monotonic()
        with pytest.raises(TransientDeviceError):
            transport.shell("echo begun; sleep 300; echo ended", 300)
        assert time.monotonic() - began < 250
        time.sleep(1)
        reconnect(transport)
        assert transport.shell("echo again", 10).stdout == b"again\n"


def test_a_slow_link_is_only_slow(opener: Opener, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(os.urandom(1_500_000))
    with emulated(faults=Faults(slow_link=1_000_000)) as phone:
        transport = opener(phone)
        began = time.monotonic()
        assert transport.push(local, f"{WORK}/file") is True
        assert time.monotonic() - began > 1


def test_a_phone_that_hangs(opener: Opener) -> None:
    with emulated(faults=Faults(hang_after_bytes=5_000)) as phone:
        transport = opener(phone)
        began = time.monotonic()
        with pytest.raises(TransientDeviceError):
            for _ in range(100):
                transport.shell(f"echo {'x' * 500}", 2)
        assert time.monotonic() - began < 190


def test_a_refused_key(opener: Opener, kind: str) -> None:
    with emulated(faults=Faults(refused_key=True)) as phone, pytest.raises(DeviceError) as caught:
        opener(phone, timeout_s=3)
    assert "allow" in str(caught.value)
    assert not caught.value.transient


def test_the_user_is_told_to_look_at_the_phone(
    opener: Opener,
) -> None:
    said: list[str] = []
    with emulated(confirm_after_s=1.0) as phone:
        transport = opener(phone, attendant=Listening(said))
        assert transport.shell("echo in", 10).stdout == b"in\n"
    assert len(said) == 1
    assert "tap Allow" in said[0]


def test_nobody_at_the_address(opener: Opener) -> None:
    with emulated() as phone:
        transport = opener(phone, connect=False)
    with pytest.raises(TransientDeviceError) as caught:
        transport.connect()
    assert caught.value.fix


def test_calls_after_close_fail_and_close_never_does(opener: Opener) -> None:
    with emulated() as phone:
        transport = opener(phone, connect=False)
        with pytest.raises(TransientDeviceError):
            transport.shell("true", 5)
        transport.close()
        transport.close()


def test_path_tricks_of_a_hostile_phone_write_nothing_elsewhere(
    opener: Opener, tmp_path: Path
) -> None:
    target = tmp_path / "run" / "file"
    target.parent.mkdir()
    before = set(Path("/tmp").glob("owned*"))
    with emulated(faults=Faults(path_tricks=True)) as phone:
        (phone.phone.work / "file").write_bytes(b"x")
        with pytest.raises(StableDeviceError, match="does not speak ADB properly"):
            opener(phone).pull(f"{WORK}/file", target)
    assert [p.name for p in tmp_path.iterdir() if p.name != "android"] == ["run"]
    assert list(target.parent.iterdir()) == []
    assert set(Path("/tmp").glob("owned*")) == before


def test_two_commands_at_once_on_two_transports(opener: Opener) -> None:
    with emulated() as phone:
        transports = [opener(phone), opener(phone)]
        results: list[bytes] = []

        def work(transport: Transport, mine: str, other: str) -> None:
            """Each waits for the other."""
            waits = f"touch {WORK}/{mine}; while [ ! -e {WORK}/{other} ]; do sleep 0.1; done"
            results.append(transport.shell(f"{waits}; echo ok", 300).stdout)

        one, two = transports
        threads = [
            threading.Thread(target=work, args=(one, "a", "b")),
            threading.Thread(target=work, args=(two, "b", "a")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [b"ok\n", b"ok\n"]


@pytest.mark.parametrize("userland", USERLANDS)
def test_a_large_push_after_one_that_broke(
    opener: Opener, tmp_path: Path, userland: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broken one left must not be read by the hash that runs beside the new one."""
    monkeypatch.setenv(USERLAND, userland)
    local = tmp_path / "model"
    local.write_bytes(os.urandom(9_000_000))
    with emulated() as phone:
        stale = phone.phone.work / "model.part"
        stale.write_bytes(bytes(9_500_000))
        assert opener(phone).push(local, "/data/local/tmp/model")
        assert sha(phone.phone.work / "model") == sha(local)
        assert not stale.exists()


@pytest.mark.parametrize("arrived", [1 << 20, (2 << 20) + 7], ids=["a block", "all blocks"])
def test_hashing_on_the_phone_ends_after_a_broken_push(tmp_path: Path, arrived: int) -> None:
    """adbd does not end a command when the cable is pulled: it must end by itself."""
    part = tmp_path / "file.part"
    part.write_bytes(bytes(arrived))
    script = _HASH_GROWING.format(part=part, whole=2, block=1 << 20, size=(2 << 20) + 100)
    hurried = script.replace("-lt 1500", "-lt 5")
    assert hurried != script
    done = subprocess.run(["sh", "-c", hurried], capture_output=True, timeout=200, check=True)
    assert done.stdout.split()[0] != hashlib.sha256(bytes((2 << 20) + 100)).hexdigest().encode()


def test_two_phones_and_no_serial(adb_home: Path) -> None:
    if not any((Path(p) / "adb").exists() for p in os.environ["PATH"].split(":")):
        pytest.skip("needs adb")
    with (
        emulated() as one,
        emulated() as two,
        start_adb_server(adb_home) as server,
    ):
        server.connect(one.address)
        server.connect(two.address)
        transport = adb_server.open_transport(
            AndroidSpec(transport="adb_server", adb_server=f"127.0.0.1:{server.port}"),
            Attendant(),
        )
        with pytest.raises(UsageError) as caught:
            transport.connect()
        assert one.address in str(caught.value)
        assert "serial:" in caught.value.fix


def test_a_new_key_is_the_users_own_and_nobody_else_can_read_it(empty_adb_home: Path) -> None:
    with emulated() as phone:
        spec = AndroidSpec(transport="adb_tcp", address=phone.address)
        for _ in range(2):
            transport = adb_tcp.open_transport(spec, Attendant())
            transport.connect()
            transport.close()
        keys = (phone.phone.root / "data/misc/adb/adb_keys").read_bytes().splitlines()
        assert len(keys) == 1, "the second connection must be let in by its signature"
    assert (empty_adb_home / "adbkey").stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in empty_adb_home.iterdir()) == ["adbkey", "adbkey.pub"]


def reconnect(transport: Transport) -> None:
    """As the target does: try until the phone is there again."""
    for attempt in range(20):
        try:
            transport.connect()
        except TransientDeviceError:
            if attempt == 19:
                raise
            time.sleep(0.3)
        else:
            return


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
