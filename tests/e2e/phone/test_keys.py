"""Who is let in: keys of the user's own, keys made by Debian's adb, and nobody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError
from harness.core.specs import AndroidSpec
from harness.devices import adb_keys
from harness.devices.transports import adb_tcp
from harness.devices.transports.emulated import Emulated
from tests.phones import Listening, adb_server, empty_adb_home, emulate_process, emulated

__all__ = ["empty_adb_home"]


def open_at(address: str, said: list[str] | None = None) -> adb_tcp.AdbTcp:
    """Connects with the key of the current ADB home; the caller closes."""
    spec = AndroidSpec(transport="adb_tcp", address=address, connect_timeout_s=2)
    transport = adb_tcp.open_transport(spec, Listening(said) if said is not None else Attendant())
    transport.connect()
    return transport


@pytest.fixture
def made_by_adb(empty_adb_home: Path) -> Iterator[Path]:
    """A key as `adb keygen` writes it, where the user's is looked for."""
    subprocess.run(
        ["adb", "keygen", str(empty_adb_home / "adbkey")], check=True, capture_output=True
    )
    yield empty_adb_home / "adbkey"


@pytest.mark.needs("adb")
@pytest.mark.parametrize("public", ["beside it", "missing"])
def test_a_key_that_debians_adb_made_lets_us_in(made_by_adb: Path, public: str) -> None:
    """The phone knows its public half, as adb wrote it, and asks nobody."""
    trusted = made_by_adb.with_suffix(".pub").read_bytes()
    if public == "missing":
        made_by_adb.with_suffix(".pub").unlink()
    before = made_by_adb.read_bytes()
    with emulated(trusted=[trusted]) as phone:
        transport = open_at(phone.address)
        assert transport.shell("echo in", 5).stdout == b"in\n"
        transport.close()
    assert made_by_adb.read_bytes() == before, "the user's key is used, not replaced"


@pytest.mark.parametrize(("mode", "warns"), [(0o644, True), (0o640, True), (0o600, False)])
def test_a_key_that_others_can_read_is_told_once(
    empty_adb_home: Path, mode: int, warns: bool
) -> None:
    adb_keys.create(adb_keys.key_path())
    adb_keys.key_path().chmod(mode)
    said: list[str] = []
    with emulated(requires_auth=False) as phone:
        transport = open_at(phone.address, said)
        transport.connect()
        transport.close()
    told = f"the key {empty_adb_home}/adbkey is open to others (mode {mode:o}); chmod 600"
    assert [line.startswith(told) for line in said] == ([True] if warns else [])


def test_the_device_emulated_checks_our_signature_and_lets_nobody_else_in(
    empty_adb_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it runs, it runs as this user: another one on this machine must not come in."""
    ours = Emulated(AndroidSpec(transport="emulated"), Attendant())
    try:
        ours.connect()
        assert ours.shell("echo in", 5).stdout == b"in\n"
        host, port = ours._address
        monkeypatch.setenv("ANDROID_USER_HOME", str(tmp_path / "stranger"))
        said: list[str] = []
        with pytest.raises(StableDeviceError, match="did not allow"):
            open_at(f"{host}:{port}", said)
        assert "tap Allow" in said[0]
    finally:
        ours.close()


@pytest.mark.needs("adb")
def test_emulate_lets_in_the_users_adb_and_no_other(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for home in (mine, other):
        (home / ".android").mkdir(parents=True)
        key = str(home / ".android/adbkey")
        subprocess.run(["adb", "keygen", key], check=True, capture_output=True)
    with emulate_process(home=mine) as address:
        with adb_server(mine) as adb:
            adb.connect(address)
            assert adb("-s", address, "shell", "echo in").stdout == b"in\n"
        with adb_server(other) as adb:
            adb("connect", address)
            done = adb("-s", address, "shell", "echo in")
            assert (done.returncode, done.stdout) == (1, b"")
            assert b"unauthorized" in done.stderr
    named = str(other / ".android/adbkey.pub")
    with emulate_process("--trust", named, home=mine) as address, adb_server(other) as adb:
        adb.connect(address)
        assert adb("-s", address, "shell", "echo in").stdout == b"in\n"


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "adbkey"
    shutil.copy(__file__, wrong)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "emulate", "--trust", str(wrong)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {wrong}: not an ADB public key; give the file adbkey.pub\n"
