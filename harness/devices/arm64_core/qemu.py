"""The emulator of this machine: where it is, what it can do, and the counting plugin for it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import UsageError
from harness.system import process

PROGRAM = "qemu-aarch64"
OLDEST = (6, 2)  # the oldest tried; Ubuntu 22.04 has it
FIRST_WITH_SCOREBOARDS = (9, 0)
COUNT_C = Path(__file__).with_name("count.c")
_INSTALL = "sudo apt-get install qemu-user"
_HOW_TO = "docs/how-to/arm64.md"
_COMPILER = "sudo apt-get install gcc libc6-dev"


class Qemu(NamedTuple):
    """An installed qemu-aarch64."""

    path: str
    version: str
    cpus: tuple[str, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """(7, 2, 22)."""
        return tuple(int(n) for n in self.version.split("."))

    @property
    def plugin_api(self) -> int:
        """Which of the two plugin interfaces of count.c it has."""
        return 2 if self.numbers >= FIRST_WITH_SCOREBOARDS else 1


def find_qemu() -> Qemu:
    """The first qemu-aarch64 in PATH; raises UsageError if none is usable."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise UsageError(
            f"the emulated ARM64 core needs Linux on x86-64, and this is {platform.system()} on "
            f"{platform.machine()}",
            "use a Linux machine, a virtual machine or CI",
        )
    path = shutil.which(PROGRAM)
    if path is None:
        raise UsageError(f"{PROGRAM} is not installed", _INSTALL)
    found = re.search(r"version (\d+\.\d+(?:\.\d+)?)", _ask(path, "--version"))
    if found is None:
        raise UsageError(f"{path} does not report its version", f"reinstall it: {_INSTALL}")
    qemu = Qemu(path, found[1], tuple(_ask(path, "-cpu", "help").split()))
    if qemu.numbers < OLDEST:
        raise UsageError(
            f"qemu {qemu.version} is too old; {'.'.join(map(str, OLDEST))} is the oldest that "
            "works",
            f"install a newer one, or build it as {_HOW_TO} says",
        )
    if "-plugin" not in _ask(path, "-h"):
        raise UsageError(
            f"{path} (qemu {qemu.version}) was built without plugins, so nothing can count",
            f"build qemu-user with --enable-plugins as {_HOW_TO} says, and put it first in PATH",
        )
    return qemu


def _ask(path: str, *question: str) -> str:
    try:
        return process.ask([path, *question]).stdout
    except OSError as error:
        raise UsageError(f"{path} does not start ({error})", f"reinstall it: {_INSTALL}") from error


def compile_plugin(qemu: Qemu, plugin: Path) -> str:
    """Compile count.c for this qemu into `plugin`; the answer is the compiler's name and version.

    Raises UsageError when there is no C compiler or it does not succeed.
    """
    chosen = os.environ.get("CC", "").strip()
    fix = "unset CC, or name a C compiler with it" if chosen else _COMPILER
    try:
        compiler = shlex.split(chosen or "cc")
    except ValueError as error:
        raise UsageError(f"CC is not a command ({error}): {chosen}", fix) from error
    command = [*compiler, "-O2", "-Wall", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [f"-DPLUGIN_API={qemu.plugin_api}", "-o", str(plugin), str(COUNT_C)]
    try:
        done = process.ask(command)
        version = process.ask([*compiler, "--version"])
    except OSError as error:
        raise UsageError(f"no C compiler: {compiler[0]} does not start", fix) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        why, fix = (lines[0], _COMPILER) if lines else ("no reason given", fix)
        raise UsageError(f"the counting plugin does not compile: {why}", fix)
    if not plugin.is_file():
        raise UsageError(f"{shlex.join(compiler)} is not a C compiler: it wrote no plugin", fix)
    return (version.stdout.splitlines() or compiler)[0]
