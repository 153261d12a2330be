"""`setup arm64` and what it needs, as a user meets it: each thing that is missing is one line with
the fix and exit status 2. Programs of the system are scripts in a PATH of the test's own."""

from __future__ import annotations

import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from harness.artifacts.tflite.inspect import inspect
from harness.core.types import Case, Plan
from harness.results import store
from tests.paths import ROOT
from tests.strategies import report

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="needs Linux on x86-64"
)

TINY = ROOT / "tests/data/models/tiny_int8.tflite"

# With -L it runs a program, which is not run here: three marks are counted for it, and the core
# is noted.
QEMU = """#!/bin/sh
case "$1" in
  --version) echo 'qemu-aarch64 version VERSION (Debian)' ;;
  -cpu) printf 'Available CPUs:\\n  cortex-a53\\n  cortex-a76\\n  max\\n' ;;
  -h) echo '-L path'; echo '-plugin [file=]' ;;
  -L) for word in "$@"; do case "$word" in file=*) out=${word##*,out=} ;; esac; done
      out=${out%%,except=*}
      echo "$4" >> "$0.cores"
      printf 'MARKS' > "$out" ;;
esac
"""
APT = """#!/bin/sh
[ $1 = indextargets ] && echo 'Packages http://mirror.example/ CODENAME main' && exit 0
case "$*" in *install*) touch "${3%/*}/archives/libc6_2.36-9_arm64.deb" ;; esac
"""
RELEASE = "import platform; platform.freedesktop_os_release = lambda: "
DEBIAN = RELEASE + "{'ID': 'debian', 'VERSION_CODENAME': 'CODENAME'}\n"


class System:
    """A machine on which nothing is installed but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.cache, self.folder = folder / "bin", folder / "cache", folder
        self.bin.mkdir()
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.preamble = DEBIAN
        self.environ: dict[str, str] = {}

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def qemu(self, version: str = "7.2.22", marks: str = r"1\n2\n3\n") -> None:
        self.program("qemu-aarch64", QEMU.replace("VERSION", version).replace("MARKS", marks))

    def compiler(self) -> None:
        self.program(
            "cc", '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && : > "$2"; shift; done\n'
        )

    def archive(self) -> None:
        """An archive of the distribution with a Python of one link."""
        with tarfile.open(self.folder / "python.tar", "w") as tar:
            link = tarfile.TarInfo("usr/bin/python3")
            link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
            tar.addfile(link, io.BytesIO())
        for name in ("cat", "env", "tar", "touch"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.program("apt-get", APT)
        self.program("dpkg-deb", f"#!/bin/sh\ncat {self.folder}/python.tar\n")

    def index(self) -> None:
        """Wheels as small as pip takes them."""
        for package in ("ai-edge-litert", "numpy"):
            name, version = package.replace("-", "_"), importlib.metadata.version(package)
            tag = "cp311-cp311-manylinux_2_27_aarch64"
            with zipfile.ZipFile(self.wheels / f"{name}-{version}-{tag}.whl", "w") as wheel:
                info = f"{name}-{version}.dist-info"
                meta = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
                wheel.writestr(f"{info}/METADATA", meta)
                wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
                wheel.writestr(f"{info}/RECORD", "")

    def harness(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        code = f"{self.preamble}\nimport sys\nfrom harness.cli import main\n"
        code += "status = main(sys.argv[1:])\n"
        code += "print('harness.devices.arm64_core.installation' in sys.modules, file=sys.stderr)\n"
        code += "sys.exit(status)\n"
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            cwd=self.folder,
            env={
                "PATH": str(self.bin),
                "PYTHONPATH": str(ROOT),
                "MOBILE_BENCH_CACHE": str(self.cache),
                "HOME": str(self.folder),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.wheels),
                **self.environ,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def refused(self, *args: str | Path) -> str:
        """The one line of an error, after which nothing half done is left."""
        done = self.harness(*args or ("setup", "arm64"))
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert not list(self.cache.glob("arm64/*/"))
        return line.removeprefix("error: ")


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_no_emulator(system: System) -> None:
    assert system.refused() == "qemu-aarch64 is not installed; sudo apt-get install qemu-user"


def test_no_emulator_to_measure_on(system: System) -> None:
    line = system.refused("bench", TINY, "--device", "arm64")
    assert line == "qemu-aarch64 is not installed; sudo apt-get install qemu-user"


def test_an_emulator_that_is_too_old(system: System) -> None:
    system.qemu("5.2.0")
    assert "qemu 5.2.0 is too old; 6.2 is the oldest that works; install" in system.refused()


def test_no_compiler(system: System) -> None:
    system.qemu()
    line = system.refused()
    assert line == "no C compiler: cc does not start; sudo apt-get install gcc libc6-dev"


def test_a_plugin_that_does_not_compile(system: System) -> None:
    system.qemu()
    system.program("cc", "#!/bin/sh\necho 'count.c:17: fatal error: no stdio.h' >&2\nexit 1\n")
    assert system.refused() == (
        "the counting plugin does not compile: count.c:17: fatal error: no stdio.h; "
        "sudo apt-get install gcc libc6-dev"
    )


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ('"cc', 'CC is not a command (No closing quotation): "cc'),
        ("true", "true is not a C compiler: it wrote no plugin"),
    ],
)
def test_a_compiler_that_is_none_is_told_before_anything_is_downloaded(
    system: System, chosen: str, told: str
) -> None:
    system.qemu()
    system.program("true", "#!/bin/sh\n")
    system.program("apt-get", f"#!/bin/sh\n: > {system.folder}/downloaded\n")
    system.environ["CC"] = chosen
    assert system.refused() == f"{told}; unset CC, or name a C compiler with it"
    assert not (system.folder / "downloaded").exists()


def test_a_mirror_without_arm64(system: System) -> None:
    system.qemu()
    system.compiler()
    system.program("apt-get", APT + "echo 'E: Unable to locate package python3' >&2\nexit 100\n")
    line = system.refused()
    assert "the arm64 packages cannot be downloaded" in line
    assert "name one that does, such as deb.debian.org" in line


def test_no_wheels(system: System) -> None:
    system.qemu()
    system.compiler()
    system.archive()
    line = system.refused()
    assert "no aarch64 wheels of ai-edge-litert==" in line
    assert "that have wheels for Python 3.11" in line


def test_a_plugin_that_counts_nothing(system: System) -> None:
    system.qemu(marks=r"0\n0\n0\n")
    system.compiler()
    system.archive()
    system.index()
    assert "the counting plugin does not count under qemu 7.2.22: [0, 0, 0]" in system.refused()


@pytest.mark.parametrize(
    ("preamble", "told"),
    [
        ("import platform; platform.machine = lambda: 'riscv64'", "on riscv64"),
        ("import platform, sys; import harness.cli; sys.platform = 'darwin'\n"
         "platform.system = lambda: 'Darwin'", "this is Darwin on"),
        (RELEASE + "{'ID': 'fedora', 'PRETTY_NAME': 'Fedora 42'}", "and this is Fedora 42"),
    ],
)  # fmt: skip
def test_another_system(system: System, preamble: str, told: str) -> None:
    system.qemu()
    system.compiler()
    system.preamble = preamble
    line = system.refused()
    assert told in line and "CI" in line


def test_set_up_twice_shown_and_removed(system: System) -> None:
    system.qemu()
    system.compiler()
    system.archive()
    system.index()
    first = system.harness("setup", "arm64")
    assert first.returncode == 0, first.stderr
    assert "compiling the counting plugin for qemu 7.2.22" in first.stderr
    assert "cores: cortex-a53, cortex-a76, max" in first.stdout
    tried = (system.bin / "qemu-aarch64.cores").read_text().split()
    assert tried == ["cortex-a53", "cortex-a76", "max,sme=off"], "each of them"
    assert "kB in" in first.stdout or "MB in" in first.stdout
    again = system.harness("setup", "arm64")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "compiling" not in again.stderr and "ready: " in again.stderr

    removed = system.harness("setup", "arm64", "--remove")
    assert removed.returncode == 0
    assert removed.stdout.startswith("removed ") and str(system.cache) in removed.stdout
    assert not (system.cache / "arm64").exists()
    again = system.harness("setup", "arm64", "--remove")
    assert again.stdout == f"nothing to remove in {system.cache}\n"


def test_the_host_needs_nothing_of_it(system: System) -> None:
    done = system.harness("bench", TINY, "--quick", "--device", "host")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "False", "more of it than kind.py was imported"


def test_of_all_devices_the_others_are_measured(system: System) -> None:
    (system.folder / "devices.yaml").write_text(
        "devices: {host: {kind: host}, arm64: {kind: arm64-emulated}}"
    )
    shutil.copytree(ROOT / "models", system.folder / "models")
    report = system.folder / "report.json"
    done = system.harness("bench", TINY, "--quick", "--device", "all", "--json", report)
    assert done.returncode == 3
    assert "arm64 failed (configuration): qemu-aarch64 is not installed" in done.stderr
    assert '"status": "failed"' in report.read_text()
    assert "µs" in done.stdout or "ms" in done.stdout


def test_a_run_whose_core_is_gone_is_not_resumed(system: System) -> None:
    artifact = inspect(TINY, variant="tiny_int8")
    planned = Case(variant="tiny_int8", device="arm64", runtime="litert")
    header = report(
        "20261123-101500-a1b2",
        plan=Plan(cases=(planned,), exact_devices=("arm64",)),
        artifacts=(artifact,),
        devices=(),
    )
    folder = store.create(system.folder, header)
    folder.close()
    line = system.refused("bench", "--resume", folder.path)
    assert line == "qemu-aarch64 is not installed; sudo apt-get install qemu-user"
    assert (folder.path / store.JOURNAL).read_bytes() == b""
