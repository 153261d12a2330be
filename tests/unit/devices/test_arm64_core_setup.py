"""Setting up the emulated core: what is missing is told, what is half done is never found.

Programs of the system are real scripts in a PATH of the test's own.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import ArmSpec
from harness.devices import arm64_core, doctor
from harness.devices import probe as devices
from harness.devices.arm64_core import installation, packages, qemu
from harness.devices.arm64_core.cpus import CPUS, cpu_named, qemu_argument
from harness.devices.arm64_core.environment import Arm64Env, Lock, lay_out_cpus
from tests.emulated_core import (
    at_once,
    build_slowly,
    fake_qemu,
    lock,
    machine,
    program,
    quiet,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulated core needs Linux")


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return machine(tmp_path, monkeypatch)


# --- the emulator ----------------------------------------------------------------------------


def test_a_qemu_is_asked_what_it_is(bin_folder: Path) -> None:
    fake_qemu(bin_folder)
    found = qemu.find_qemu()
    assert (found.version, found.numbers, found.plugin_api) == ("7.2.22", (7, 2, 22), 1)
    assert {"cortex-a53", "cortex-a76", "max"} <= set(found.cpus)


@pytest.mark.parametrize(
    ("version", "api"), [("6.2.0", 1), ("8.2.2", 1), ("9.0.0", 2), ("10.1", 2)]
)
def test_the_plugin_interface_follows_the_version(bin_folder: Path, version: str, api: int) -> None:
    fake_qemu(bin_folder, version)
    assert qemu.find_qemu().plugin_api == api


def test_no_qemu(bin_folder: Path) -> None:
    with pytest.raises(UsageError, match="not installed; sudo apt-get install qemu-user"):
        qemu.find_qemu()


def test_an_old_qemu(bin_folder: Path) -> None:
    fake_qemu(bin_folder, "5.2.0")
    with pytest.raises(UsageError, match=r"qemu 5\.2\.0 is too old; 6\.2 is the oldest"):
        qemu.find_qemu()


def test_a_qemu_that_cannot_load_plugins(bin_folder: Path) -> None:
    fake_qemu(bin_folder, "8.2.2", plugin="-strace")
    with pytest.raises(UsageError, match=r"without plugins.*--enable-plugins"):
        qemu.find_qemu()


def test_a_qemu_that_does_not_start(bin_folder: Path) -> None:
    program(bin_folder, "qemu-aarch64", "#!/nowhere\n")
    with pytest.raises(UsageError, match="does not start"):
        qemu.find_qemu()


def test_another_processor(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(bin_folder)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(UsageError, match=r"needs Linux on x86-64.*arm64"):
        qemu.find_qemu()


@pytest.mark.needs("cc")
@pytest.mark.parametrize("version", ["7.2.22", "10.0.13"])
def test_the_plugin_compiles_for_both_interfaces(tmp_path: Path, version: str) -> None:
    compiler = qemu.compile_plugin(qemu.Qemu("qemu", version, ()), tmp_path / "count.so")
    assert compiler
    assert (tmp_path / "count.so").read_bytes()[:4] == b"\x7fELF"


def test_no_compiler(bin_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no C compiler: cc does not start; .*install gcc"):
        qemu.compile_plugin(qemu.Qemu("qemu", "7.2", ()), tmp_path / "count.so")


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ('"unbalanced', r'CC is not a command \(No closing quotation\): "unbalanced'),
        ("true", "true is not a C compiler: it wrote no plugin"),
        ("false", "the counting plugin does not compile: no reason given"),
        ("nowhere -m64", "no C compiler: nowhere does not start"),
    ],
)
def test_a_compiler_that_the_user_chose(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, told: str
) -> None:
    program(bin_folder, "true", "#!/bin/sh\nexit 0\n")
    program(bin_folder, "false", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("CC", chosen)
    with pytest.raises(UsageError, match=f"{told}; unset CC, or name a C compiler with it"):
        qemu.compile_plugin(qemu.Qemu("qemu", "7.2", ()), tmp_path / "count.so")


def test_a_compiler_that_fails_is_quoted(bin_folder: Path, tmp_path: Path) -> None:
    program(bin_folder, "cc", "#!/bin/sh\necho 'count.c:16: fatal error: stdio.h' >&2; exit 1\n")
    with pytest.raises(UsageError, match=r"does not compile: count\.c:16: fatal error: stdio\.h"):
        qemu.compile_plugin(qemu.Qemu("qemu", "7.2", ()), tmp_path / "count.so")


# --- cores -----------------------------------------------------------------------------------


def test_a_core_that_nobody_has() -> None:
    with pytest.raises(UsageError, match="unknown ARM64 core 'cortex-a77'; did you mean"):
        cpu_named("cortex-a77", ("cortex-a76",), "7.2")


def test_a_core_that_this_qemu_lacks_is_told_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"7\.2 has no cortex-a55.*8\.0; choose one of cortex-a53"):
        cpu_named("cortex-a55", ("cortex-a53", "max"), "7.2")


def test_max_has_no_sme_where_qemu_has_it() -> None:
    assert qemu_argument(CPUS["max"], (7, 2, 22)) == "max,sme=off"
    assert qemu_argument(CPUS["max"], (6, 2, 0)) == "max"
    assert qemu_argument(CPUS["cortex-a76"], (10, 0)) == "cortex-a76"


@pytest.mark.parametrize("name", CPUS)
def test_each_core_has_the_files_by_which_the_runtime_knows_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    lay_out_cpus(tmp_path)
    prefix = tmp_path / "cpus" / name
    cpuinfo = (prefix / "proc/cpuinfo").read_text()
    assert re.search(rf"CPU part\t: 0x{CPUS[name].part:03x}\n", cpuinfo)
    assert cpuinfo.count("processor") == 1
    assert (prefix / "sys/devices/system/cpu/possible").read_text() == "0\n"
    assert (prefix / "usr/lib").is_dir()


def test_the_dot_product_is_where_the_phones_have_it() -> None:
    with_dot_product = {name for name, cpu in CPUS.items() if "asimddp" in cpu.features.split()}
    assert with_dot_product == {"cortex-a55", "cortex-a76", "cortex-a710", "max"}


def test_a_comma_in_a_path_reaches_qemu(tmp_path: Path) -> None:
    known = qemu.Qemu("/usr/bin/qemu-aarch64", "7.2.22", ("cortex-a76",))
    env = Arm64Env(tmp_path / "a,b", known, lock())
    command = env.python("cortex-a76", ["-c", ""], counts=tmp_path / "c,d", folder=tmp_path)
    left_out = f"{tmp_path}/a,,b/root/usr/bin/python3"
    assert f"file={tmp_path}/a,,b/count.so,out={tmp_path}/c,,d,except={left_out}" in command


# --- packages --------------------------------------------------------------------------------

ROWS = """\
Packages http://mirror.example/debian/ bookworm main
Packages http://mirror.example/debian/ bookworm non-free
Packages http://mirror.example/debian/ bookworm-updates main
Packages http://mirror.example/security/ bookworm-security main
Packages http://elsewhere.example/ stable main
Sources http://mirror.example/debian/ bookworm main
"""


def test_the_systems_own_mirrors_are_used_and_no_others(bin_folder: Path) -> None:
    program(bin_folder, "apt-get", f"#!/bin/sh\nprintf '%s' '{ROWS}'\n")
    lines = packages._sources("debian", "bookworm")
    assert len(lines) == 3
    assert all(line.startswith("deb [arch=arm64") and line.endswith(" main") for line in lines)
    assert all("mirror.example" in line for line in lines)


def test_ubuntu_keeps_arm64_elsewhere(bin_folder: Path) -> None:
    rows = "Packages http://archive.ubuntu.example/ubuntu/ noble main\n"
    program(bin_folder, "apt-get", f"#!/bin/sh\nprintf '%s' '{rows}'\n")
    lines = packages._sources("ubuntu", "noble")
    assert len(lines) == 6
    assert all("ubuntu-ports" in line for line in lines)


def test_sources_that_name_another_release(bin_folder: Path) -> None:
    program(bin_folder, "apt-get", f"#!/bin/sh\nprintf '%s' '{ROWS}'\n")
    with pytest.raises(UsageError, match="do not name trixie"):
        packages._sources("debian", "trixie")


def test_another_distribution(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "platform.freedesktop_os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora 42"}
    )
    with pytest.raises(UsageError, match="Debian's or Ubuntu's packages, and this is Fedora 42"):
        packages._distribution()


def test_a_derivative_counts_as_its_parent(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, "apt-get", "#!/bin/sh\n")
    release = {
        "ID": "linuxmint",
        "ID_LIKE": "ubuntu debian",
        "VERSION_CODENAME": "wilma",
        "UBUNTU_CODENAME": "noble",
    }
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert packages._distribution() == ("ubuntu", "noble")


def test_an_archive_without_arm64_is_told_in_apts_words_and_what_to_name_instead(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_distribution", lambda: ("debian", "bookworm"))
    program(
        bin_folder,
        "apt-get",
        "#!/bin/sh\n"
        f"[ $1 = indextargets ] && printf '%s' '{ROWS}' && exit 0\n"
        "echo 'E: Unable to locate package python3' >&2; exit 100\n",
    )
    with pytest.raises(UsageError, match=r"Unable to locate package python3; the mirror.*deb\.deb"):
        packages.unpack_debian(tmp_path / "root", tmp_path / "work", tmp_path / "log")


# --- all or nothing --------------------------------------------------------------------------


@pytest.fixture
def emulator(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(bin_folder)
    monkeypatch.setattr(installation, "_build", build_slowly)


@pytest.mark.usefixtures("emulator")
def test_what_was_set_up_is_found_and_set_up_only_once(tmp_path: Path) -> None:
    said: list[str] = []
    env = installation.setup(tmp_path, progress=said.append)
    assert installation.find(tmp_path) == env == installation.setup(tmp_path, progress=said.append)
    assert (tmp_path / "built").read_text() == "once\n"
    assert said[-1].startswith("ready: ")


@pytest.mark.usefixtures("emulator")
def test_nothing_has_been_set_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        installation.find(tmp_path)
    assert str(refused.value) == (
        "the arm64 environment has not been set up; python -m harness setup arm64"
    )


def test_an_environment_for_another_qemu_is_not_used(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_build", build_slowly)
    fake_qemu(bin_folder)
    installation.setup(tmp_path, progress=quiet)
    fake_qemu(bin_folder, "8.0.0")
    with pytest.raises(UsageError, match=r"other versions \([\w.-]*_qemu-7\.2\.22_ai-edge"):
        installation.find(tmp_path)


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ({"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"}, "debian-13"),
        ({"ID": "debian", "VERSION_CODENAME": "forky"}, "debian-forky"),
        ({"ID": "arch"}, "arch"),
        ({"ID": "../odd", "VERSION_ID": "1 2"}, "..-odd-1-2"),
        ({}, "linux"),
    ],
)
@pytest.mark.usefixtures("emulator")
def test_an_environment_of_another_release_of_the_system_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], name: str
) -> None:
    old = {"ID": "debian", "VERSION_ID": "12"}
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: old)
    installation.setup(tmp_path, progress=quiet)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    with pytest.raises(UsageError, match=r"other versions \(debian-12_qemu-"):
        installation.find(tmp_path)
    env = installation.setup(tmp_path, progress=quiet)
    assert env.folder.name.startswith(f"{name}_qemu-7.2.22_")
    assert env.folder.parent == tmp_path / "arm64"


@pytest.mark.usefixtures("emulator")
def test_a_setup_that_is_at_work_is_not_another_version(tmp_path: Path) -> None:
    (tmp_path / "arm64/partial-x").mkdir(parents=True)
    (tmp_path / "arm64/partial-x/lock.json").touch()
    with pytest.raises(UsageError, match="has not been set up"):
        installation.find(tmp_path)


@pytest.mark.usefixtures("emulator")
def test_a_setup_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, *_: object) -> Lock:
        (folder / "root").mkdir()
        raise UsageError("no network", "get one")

    monkeypatch.setattr(installation, "_build", fail)
    with pytest.raises(UsageError, match="no network"):
        installation.setup(tmp_path, progress=quiet)
    assert list((tmp_path / "arm64").iterdir()) == []


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_downloaded(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full one apt-get would wait for ever."""
    fake_qemu(bin_folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    with pytest.raises(UsageError) as refused:
        installation.setup(tmp_path, progress=quiet)
    assert str(refused.value) == (
        f"setup needs 250 MB, and 20.0 MB are free in {tmp_path}/arm64; free some space or name "
        "another folder with MOBILE_BENCH_CACHE"
    )


def test_an_archive_that_cannot_be_unpacked_is_one_line(tmp_path: Path, bin_folder: Path) -> None:
    program(bin_folder, "dpkg-deb", "#!/bin/sh\n")
    program(bin_folder, "tar", "#!/bin/sh\necho 'tar: a: No space' >&2; echo more >&2; exit 2\n")
    with pytest.raises(UsageError, match=r"x\.deb cannot be") as told:
        packages._unpack(tmp_path / "x.deb", tmp_path)
    assert told.value.message == "x.deb cannot be unpacked: tar: a: No space"


@pytest.mark.usefixtures("emulator")
def test_a_killed_setup_leaves_nothing_to_be_found_and_the_next_one_cleans_up(
    tmp_path: Path,
) -> None:
    child = multiprocessing.get_context("fork").Process(
        target=installation.setup, args=(tmp_path,), kwargs={"progress": quiet}
    )
    child.start()
    assert child.pid is not None
    while not (tmp_path / "built").exists():
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert [p.name[:8] for p in (tmp_path / "arm64").iterdir()] == ["partial-"]
    with pytest.raises(UsageError, match="has not been set up"):
        installation.find(tmp_path)
    env = installation.setup(tmp_path, progress=quiet)
    assert list((tmp_path / "arm64").iterdir()) == [env.folder]


@pytest.mark.usefixtures("emulator")
def test_of_two_setups_at_once_one_works_and_one_waits(tmp_path: Path) -> None:
    assert at_once(2, installation.setup, tmp_path) == [0, 0]
    assert (tmp_path / "built").read_text() == "once\n"
    assert isinstance(installation.find(tmp_path), Arm64Env)


CC = '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && : > "$2"; shift; done\n'
SLEEPY_APT = """#!/bin/sh
[ $1 = indextargets ] && echo 'Packages http://mirror.example/debian/ bookworm main' && exit 0
echo $$ > {pids}/apt-get
exec {sleep} 60
"""


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_setup_takes_its_programs_with_it(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch, signalled: signal.Signals
) -> None:
    """An apt-get that went on would write into a folder that the next setup removes."""
    fake_qemu(bin_folder)
    program(bin_folder, "cc", CC)
    sleep = shutil.which("sleep", path="/usr/bin:/bin")
    program(bin_folder, "apt-get", SLEEPY_APT.format(pids=tmp_path, sleep=sleep))
    monkeypatch.setattr(packages, "_distribution", lambda: ("debian", "bookworm"))
    child = multiprocessing.get_context("fork").Process(
        target=installation.setup, args=(tmp_path / "cache",), kwargs={"progress": quiet}
    )
    child.start()
    assert child.pid is not None
    written = tmp_path / "apt-get"
    while not written.exists() or not written.read_text():
        assert child.is_alive()
        time.sleep(0.01)
    grandchild = int(written.read_text())
    assert running(grandchild)
    os.kill(child.pid, signalled)
    child.join()
    deadline = time.monotonic() + 60
    while running(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(grandchild)


def running(pid: int) -> bool:
    """Whether it is there, and not only waiting to be collected by whoever inherited it."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_tests_own_path_hides_the_systems_qemu(bin_folder: Path) -> None:
    assert shutil.which("qemu-aarch64") is None


def test_devices_and_doctor_tell_what_is_missing(bin_folder: Path, tmp_path: Path) -> None:
    probe = devices.probe("arm64", ArmSpec(), Attendant())
    assert (probe.state, probe.error) == ("absent", "qemu-aarch64 is not installed")
    (finding,) = doctor.doctor("arm64", ArmSpec(), tmp_path, Attendant())
    assert (finding.level, finding.fix) == ("serious", "sudo apt-get install qemu-user")


def test_nothing_else_of_the_harness_imports_it() -> None:
    room = Path(arm64_core.__file__).parent
    importing = {
        path.relative_to(room.parents[1]).as_posix()
        for path in room.parents[1].rglob("*.py")
        if path.parent != room
        if re.search(
            r"harness\.devices\.arm64_core|devices import .*\barm64_core\b",
            path.read_text("utf-8"),
        )
    }
    assert importing == {"commands/setup.py"}
