"""Emulated phones and adb servers for tests: real sockets, real processes."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from harness.core.attendant import Attendant
from harness.devices import adb_keys
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import Phone, Profile, load_profile, pack_tool
from tests import command_line

# The emulated phone's shell and commands: this machine's, and Android's own (mksh and toybox).
USERLANDS = ["host", pytest.param("android", marks=pytest.mark.needs("mksh", "toybox"))]


@contextlib.contextmanager
def emulated(
    profile: str = "pixel",
    faults: Faults | None = None,
    *,
    requires_auth: bool = True,
    trusted: Iterable[bytes] | None = None,
    confirm_after_s: float = 0.0,
    **changes: object,
) -> Iterator[Daemon]:
    """An emulated phone on a free port; `changes` are fields of the profile. Its benchmark_model
    sleeps for a millisecond an inference, unless `fixed_latency_us` is None: running the model
    takes three times as long, most of it for imports."""
    changes = {"fixed_latency_us": 1000, **changes}
    described: Profile = msgspec.structs.replace(load_profile(profile), **changes)
    phone = Phone(
        described,
        faults,
        requires_auth=requires_auth,
        trusted=trusted,
        confirm_after_s=confirm_after_s,
    )
    with Daemon(phone) as daemon:
        yield daemon


def command(phone: Daemon, name: str, script: str) -> None:
    """Replace the phone's command `name`; in the script `"$REAL" "$@"` runs the original."""
    path = phone.phone.root / "system/bin" / name
    real = path.with_name(f".{name}")
    if not real.exists():
        if path.exists():
            path.replace(real)
        else:
            real.symlink_to(f"/bin/{name}")
    path.write_text(f'#!/bin/sh\nREAL="$EMULATED_ROOT/system/bin/.{name}"\n{script}\n')
    path.chmod(0o755)


def wait_for(holds: Callable[[], object], timeout_s: float = 300) -> None:
    """Wait until it is so; the time-out only guards against a hang."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


class Listening(Attendant):
    """Keeps what it is told."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def say(self, text: str) -> None:
        self._said.append(text)

    show = say


class AdbServer:
    """Debian's adb: client and server of their own, away from the user's."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self._environment = {**os.environ, "HOME": str(home), "ANDROID_USER_HOME": str(home)}

    def __call__(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
        """Run the client."""
        return subprocess.run(
            ["adb", "-P", str(self.port), *arguments],
            env=self._environment,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    def connect(self, address: str) -> None:
        """Connect and wait until the phone is ready; asks for the key on the way."""
        self("connect", address)
        waited = self("-s", address, "wait-for-device")
        assert waited.returncode == 0, waited.stderr


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[AdbServer]:
    """A server that ends with the test."""
    server = AdbServer(home)
    started = server("start-server")
    assert started.returncode == 0, started.stderr
    try:
        yield server
    finally:
        server("kill-server")


def free_port() -> int:
    """A port nobody listens on, outside of what adb servers search for emulators."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port: int = sock.getsockname()[1]
        if not 5554 <= port <= 5586:
            return port


@pytest.fixture
def empty_adb_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for keys, instead of the user's ~/.android."""
    return _adb_home(tmp_path, monkeypatch)


@pytest.fixture
def adb_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a key, instead of the user's ~/.android."""
    home = _adb_home(tmp_path, monkeypatch)
    for name, content in _key().items():
        (home / name).write_bytes(content)
        (home / name).chmod(0o600)
    return home


def _adb_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "android"
    home.mkdir()
    monkeypatch.setenv("ANDROID_USER_HOME", str(home))
    return home


@functools.cache
def _key() -> dict[str, bytes]:
    """The files of a key. Making one takes a tenth of a second, so a process makes only one."""
    with tempfile.TemporaryDirectory() as folder:
        adb_keys.create(Path(folder) / "adbkey")
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@contextlib.contextmanager
def emulated_process(*arguments: str) -> Iterator[str]:
    """The address of an emulated phone that is a process of its own, so that it does not share an
    interpreter with what is measured; it lets everybody in."""
    with emulate_process("--no-auth", *arguments) as address:
        yield address


@contextlib.contextmanager
def emulate_process(*arguments: str, home: Path | None = None) -> Iterator[str]:
    """The address of what `emulate` serves; `home` is the user's, with their keys."""
    mine = {} if home is None else {"HOME": str(home)}
    environment = {k: v for k, v in os.environ.items() if not mine or k != "ANDROID_USER_HOME"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "emulate", "--port", "0", "--until-stdin-closes",
         *arguments],
        env=environment | mine,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(timeout=300)


def run_harness(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the harness in `folder`; its standard error must be free of tracebacks."""
    done = command_line.run(*arguments, cwd=folder, columns=150)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def packed_runner() -> Path:
    """The emulated phone's benchmark_model as a file to push, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="runner-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pack_tool(folder / "benchmark_model")
    return folder / "benchmark_model"
