"""A machine for tests of the emulated core's setup: programs of the system are real scripts in a
PATH of the test's own, and small files stand for what would be downloaded."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.devices.arm64_core.environment import Download, Lock, lay_out_cpus

QEMU = """#!/bin/sh
case "$1" in
  --version) echo "qemu-aarch64 version {version} (Debian 1:{version}+dfsg-7)" ;;
  -cpu) printf 'Available CPUs:\\n  cortex-a53\\n  cortex-a76\\n  max\\n' ;;
  -h) echo '-L path'; echo '{plugin}' ;;
esac
"""


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds nothing but what the test puts there."""
    programs = folder / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return programs


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def fake_qemu(folder: Path, version: str = "7.2.22", plugin: str = "-plugin [file=]") -> None:
    program(folder, "qemu-aarch64", QEMU.format(version=version, plugin=plugin))


def lock() -> Lock:
    return Lock(
        qemu="7.2.22",
        plugin_api=1,
        compiler="cc 12",
        python="3.11",
        litert="2.3.0",
        numpy="2.4.6",
        packages=(Download(name="python3.deb", sha256="0" * 64, size_bytes=1),),
        wheels=(),
    )


def build_slowly(folder: Path, *_: object) -> Lock:
    """In place of downloads: leaves a trace per call, and takes its time."""
    made = build(folder)
    with (folder.parents[1] / "built").open("a") as trace:
        trace.write("once\n")
    time.sleep(0.5)
    return made


def build(folder: Path, *_: object) -> Lock:
    """Make small files like those that are downloaded and made."""
    for name in ("root/usr/bin/python3.11", "root/usr/lib/libm.so.6", "count.so"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF" + bytes(100_000))
    (folder / "root/usr/bin/python3.11").chmod(0o755)
    (folder / "root/usr/bin/python3").symlink_to("python3.11")
    (folder / "site/numpy").mkdir(parents=True)
    (folder / "site/numpy/__init__.py").write_text("array = list\n")
    lay_out_cpus(folder)
    (folder / "lock.json").write_bytes(msgspec.json.encode(lock()))
    return lock()


def quiet(_: str) -> None:
    pass


def at_once(times: int, work: Callable[..., object], cache: Path) -> list[int | None]:
    """The exit statuses of this many processes that do the same at the same time."""
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=work, args=(cache,), kwargs={"progress": quiet}) for _ in range(times)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
