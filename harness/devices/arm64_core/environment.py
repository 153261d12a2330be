"""An environment that has been put together, and how to start a program in it.

    lock.json   versions, and the SHA-256 of everything that was downloaded (manifest.json has it
                of every file, so that damage is noticed)
    root/       the distribution's arm64 Python and its libraries
    site/       numpy and the runtime, for aarch64
    cpus/NAME/  what qemu takes for the file system: root/ seen through links, and the /proc/cpuinfo
                and /sys/devices/system/cpu of a machine with one core of that name
    count.so    the counting plugin

qemu-user looks up every absolute path below the folder of `-L` first and takes the machine's own
only if there is none. So a core's /proc/cpuinfo is simply a file there: no bind mount, no
namespace, no root. (From 8.2 on, qemu itself answers for that file.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.types import Value
from harness.devices.arm64_core.cpus import CPUS, cpu_named, qemu_argument
from harness.devices.arm64_core.qemu import Qemu


class Download(Value, frozen=True):
    """One file that went into an environment; its name holds its version."""

    name: str
    sha256: str
    size_bytes: int


class Lock(Value, frozen=True):
    """lock.json: what an environment was made of."""

    qemu: str
    plugin_api: int
    compiler: str
    python: str
    litert: str
    numpy: str
    packages: tuple[Download, ...]
    wheels: tuple[Download, ...]


# All variables that a program in the environment sees: fixed hashes, no numpy threads, and nothing
# from the user's shell, because what a program does must depend on the artifact alone.
_VARIABLES = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC0",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}

# The files in which the runtime looks for the number of cores; every file says "one".
_SYSFS = {
    "kernel_max": "0",
    "online": "0",
    "possible": "0",
    "present": "0",
    "cpu0/topology/core_id": "0",
    "cpu0/topology/core_siblings": "1",
    "cpu0/topology/core_siblings_list": "0",
    "cpu0/topology/physical_package_id": "0",
    "cpu0/topology/thread_siblings": "1",
    "cpu0/topology/thread_siblings_list": "0",
}


@dataclass(frozen=True)
class Arm64Env:
    """A finished environment."""

    folder: Path
    qemu: Qemu
    lock: Lock

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of programs in it; the Python writes no .pyc."""
        return {**_VARIABLES, "PYTHONPATH": str(self.folder / "site")}

    def python(
        self, cpu: str, arguments: Sequence[str | Path], *, counts: Path, folder: Path
    ) -> list[str]:
        """The command that runs the ARM64 Python with `arguments` on a core named `cpu`, in
        `folder`; the instructions executed so far go to `counts`, a line per getppid().

        Raises UsageError when there is no such core.
        """
        core = cpu_named(cpu, self.qemu.cpus, self.qemu.version)
        plugin = _quoted(self.folder / "count.so")
        # Without links, as the system names a file that is mapped.
        python = (self.folder / "root" / "usr" / "bin" / "python3").resolve()
        return [
            *("env", "--chdir", str(folder)),
            self.qemu.path,
            *("-L", str(self.folder / "cpus" / core.name)),
            *("-cpu", qemu_argument(core, self.qemu.numbers)),
            *("-plugin", f"file={plugin},out={_quoted(counts)},except={_quoted(python)}"),
            str(python),
            *("-s", "-S"),
            *map(str, arguments),
        ]


def _quoted(path: Path) -> str:
    """A path inside qemu's comma-separated options."""
    return str(path).replace(",", ",,")


def read_counts(path: Path) -> list[int]:
    """Instructions executed until each marker, from the beginning of the process."""
    return [int(line) for line in path.read_text().split()]


def lay_out_cpus(folder: Path) -> None:
    """Make cpus/ beside root/ in an environment under construction."""
    for cpu in CPUS.values():
        prefix = folder / "cpus" / cpu.name
        files = {f"sys/devices/system/cpu/{name}": text for name, text in _SYSFS.items()}
        for name, text in {**files, "proc/cpuinfo": cpu.cpuinfo()}.items():
            path = prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if text.endswith("\n") else f"{text}\n")
        for entry in (folder / "root").iterdir():
            (prefix / entry.name).symlink_to(Path("..", "..", "root", entry.name))
