"""The emulated core once it is set up: damage is noticed and repaired, a run keeps it, and it is
removed only when nobody uses it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.core import units
from harness.core.attendant import Attendant
from harness.core.errors import BuildError, UsageError
from harness.core.specs import ArmSpec
from harness.core.types import Case, Plan, Stopped
from harness.devices import doctor
from harness.devices import probe as devices
from harness.devices.arm64_core import installation
from harness.devices.arm64_core.manifest import MANIFEST
from harness.measure import session
from harness.project import config
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.results import store
from harness.system.progress import Narrator
from tests.emulated_core import at_once, build, build_slowly, fake_qemu, lock, machine, quiet
from tests.paths import DATA
from tests.strategies import report

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulated core needs Linux")

TINY = DATA / "models/tiny_int8.tflite"
SETUP = "python -m harness setup arm64"
IN_USE = "the arm64 environment is in use by a run; try again when that has ended"
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def cache(tmp_path: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which the core can be set up, in the cache that commands use."""
    fake_qemu(machine(tmp_path, monkeypatch))
    monkeypatch.setattr(installation, "_build", build)
    return fresh_cache


@pytest.fixture
def folder(cache: Path) -> Path:
    """The core, set up."""
    return installation.setup(cache, progress=quiet).folder


def examined() -> list[tuple[str, str, str, str]]:
    spec = ArmSpec(cpu="cortex-a53")
    found = doctor.doctor("arm64", spec, Path("nowhere"), Attendant())
    return [(f.level, f.code, f.message, f.fix) for f in found]


# --- damage ----------------------------------------------------------------------------------


def empty(path: Path) -> None:
    path.write_bytes(b"")


def turn_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("perl")


def copy_in_place(path: Path) -> None:
    """What copies do that follow links."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "count.so is missing": ("count.so", Path.unlink),
    "count.so has another size": ("count.so", empty),
    "site/numpy/__init__.py is missing": ("site/numpy", shutil.rmtree),
    "root/usr/bin/python3.11 is missing": ("root/usr/bin/python3.11", Path.unlink),
    "root/usr/bin/python3.11 cannot be executed": (
        "root/usr/bin/python3.11",
        lambda path: path.chmod(0o644),
    ),
    "root/usr/bin/python3 points elsewhere": ("root/usr/bin/python3", turn_elsewhere),
    "root/usr/bin/python3 points  elsewhere": ("root/usr/bin/python3", copy_in_place),
    "root/usr/lib/libm.so.6 has another size": ("root/usr/lib/libm.so.6", empty),
    "cpus/cortex-a53/proc/cpuinfo is missing": ("cpus", shutil.rmtree),
    "cpus/cortex-a76/proc/cpuinfo has another size": ("cpus/cortex-a76/proc/cpuinfo", empty),
    "lock.json has another size": ("lock.json", empty),
    "lock.json is missing": ("lock.json", Path.unlink),
    f"{MANIFEST} is missing": (MANIFEST, Path.unlink),
    f"{MANIFEST} cannot be read": (MANIFEST, lambda path: os.truncate(path, 99)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_before_anything_is_built_and_repaired_by_setup(
    cache: Path, folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    name, do = DAMAGES[damage]
    do(folder / name)
    told = f"the arm64 environment is damaged ({damage.replace('  ', ' ')})"

    assert cli.main(["bench", str(TINY), "--device", "arm64", "--out", str(cache / "out")]) == 2
    assert capsys.readouterr().err == f"error: {told}; {SETUP}\n"
    assert not (cache / "out").exists()
    probe = devices.probe("arm64", ArmSpec(), Attendant())
    assert (probe.state, probe.error, probe.fix) == ("absent", told, SETUP)
    assert examined() == [("serious", "core", told, SETUP)]

    assert cli.main(["setup", "arm64"]) == 0
    assert capsys.readouterr().err == f"{told} and is set up again\nready: {folder}\n"
    assert installation.find(cache, thorough=True).lock == lock()


def test_what_was_changed_within_a_file_is_seen_by_doctor_and_setup(
    cache: Path, folder: Path
) -> None:
    plugin = folder / "count.so"
    with plugin.open("r+b") as file:
        file.seek(50_000)
        file.write(b"!")
    installation.find(cache)
    told = "the arm64 environment is damaged (count.so has other contents)"
    assert examined() == [("serious", "core", told, SETUP)]
    said: list[str] = []
    installation.setup(cache, progress=said.append)
    assert said == [f"{told} and is set up again", f"ready: {folder}"]
    assert b"!" not in plugin.read_bytes()


def test_an_environment_that_is_whole_is_left_alone(cache: Path, folder: Path) -> None:
    made = (folder / "count.so").stat()
    said: list[str] = []
    installation.setup(cache, progress=said.append)
    assert said == [f"ready: {folder}"]
    assert (folder / "count.so").stat() == made


# --- in use ----------------------------------------------------------------------------------


def asked(*names: str, out: Path) -> Request:
    return Request(what=(str(TINY),), devices=names, out=out)


def refuse_removal(cache: Path) -> None:
    with pytest.raises(UsageError) as refused:
        installation.remove(cache, progress=quiet)
    assert str(refused.value) == IN_USE
    installation.find(cache, thorough=True)


BUILDING, MEASURING = "harness.measure.prepare.build_artifacts", "harness.measure.lanes.measure"


@pytest.mark.parametrize("name", ["arm64", "all"])
@pytest.mark.parametrize("step", [BUILDING, MEASURING])
@pytest.mark.parametrize("ending", [KeyboardInterrupt, BuildError])
@pytest.mark.usefixtures("folder")
def test_a_run_keeps_what_it_uses_from_building_to_its_end_whatever_ends_it(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: str,
    ending: type[BaseException],
) -> None:
    def end(*_: object, **__: object) -> None:
        refuse_removal(cache)
        raise ending("it ended")

    monkeypatch.setattr(step, end)
    job = resolve(asked(name, out=cache / "out"))
    with Narrator() as narrator, pytest.raises(ending):
        session.bench(job, narrator)
    assert installation.remove(cache, progress=quiet) > 0


@pytest.mark.usefixtures("folder")
def test_a_resumed_run_keeps_what_it_uses(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Case(variant="tiny_int8", device="arm64", runtime="litert")
    plan = Plan(cases=(planned,), exact_devices=("arm64",))
    run = store.create(cache, report("20261123-101500-a1b2", plan=plan, artifacts=(), devices=()))
    run.close()

    def measure(*_: object, **__: object) -> Stopped:
        refuse_removal(cache)
        raise KeyboardInterrupt

    monkeypatch.setattr(MEASURING, measure)
    with Narrator() as narrator, pytest.raises(KeyboardInterrupt):
        session.resume(run.path, None, narrator)
    assert installation.remove(cache, progress=quiet) > 0


@pytest.mark.usefixtures("folder")
def test_an_environment_is_free_again_when_its_user_was_killed(cache: Path) -> None:
    holding = FORK.Event()

    def hold() -> None:
        with installation.held(cache):
            holding.set()
            time.sleep(600)

    process = FORK.Process(target=hold)
    process.start()
    assert holding.wait(60)
    refuse_removal(cache)
    process.kill()
    process.join()
    assert installation.remove(cache, progress=quiet) > 0


def test_a_run_without_the_core_holds_nothing(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object, **__: object) -> Stopped:
        assert installation.remove(cache, progress=quiet) > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(MEASURING, measure)
    with Narrator() as narrator, pytest.raises(KeyboardInterrupt):
        session.bench(resolve(asked("host", out=cache / "out")), narrator)
    assert not folder.exists()


def test_what_a_run_uses_is_not_made_anew_either(cache: Path, folder: Path) -> None:
    empty(folder / "count.so")
    with installation.held(cache), pytest.raises(UsageError) as refused:
        installation.setup(cache, progress=quiet)
    assert str(refused.value) == IN_USE
    assert (folder / "count.so").exists()


@pytest.mark.usefixtures("folder")
def test_a_file_system_without_locks_does_not_keep_a_run_from_measuring(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("portalocker.portalocker.LOCKER", flock)
    with installation.held(cache):
        assert "arm64" in resolve(asked("arm64", out=cache / "out")).devices


# --- what the system refuses -----------------------------------------------------------------


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


SPACE, ELSEWHERE = "free some space", "name another folder with MOBILE_BENCH_CACHE"


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, f"{SPACE}, then run it again"),
        (errno.EACCES, ELSEWHERE),
        (errno.EPERM, ELSEWHERE),
        (errno.EROFS, ELSEWHERE),
        (errno.EIO, f"{SPACE} or {ELSEWHERE}"),
    ],
)
def test_what_keeps_it_from_being_made_has_its_own_fix(
    cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, fix: str
) -> None:
    monkeypatch.setattr(installation, "_build", refusing(number))
    with pytest.raises(UsageError) as refused:
        installation.setup(cache, progress=quiet)
    why = f"[Errno {number}] {os.strerror(number)}"
    assert refused.value.message == f"the arm64 environment in {cache} cannot be made: {why}"
    assert refused.value.fix == fix


@pytest.mark.usefixtures("folder")
def test_what_keeps_it_from_being_removed_has_its_own_fix(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "rmtree", refusing(errno.EACCES))
    with pytest.raises(UsageError, match=r"cannot be removed: .*Permission denied") as refused:
        installation.remove(cache, progress=quiet)
    fix = f"make {cache} writable, or remove it as the user whom it belongs to"
    assert refused.value.fix == fix


def test_a_cache_that_is_no_folder_is_one_line(cache: Path) -> None:
    cache.write_bytes(b"")
    with pytest.raises(UsageError, match=f"cannot be made: .*; {SPACE} or {ELSEWHERE}"):
        installation.setup(cache, progress=quiet)


def make_read_only(cache: Path) -> None:
    """In /sys nobody makes files, root included."""
    cache.mkdir(exist_ok=True)
    for name in ("arm64.lock", "arm64.users"):
        (cache / name).unlink(missing_ok=True)
        (cache / name).symlink_to("/sys/nobody-makes-files-here")


def test_a_whole_environment_in_a_cache_that_cannot_be_written_is_ready(
    cache: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_read_only(cache)
    assert cli.main(["setup", "arm64"]) == 0
    assert capsys.readouterr().err == f"ready: {folder}\n"
    with installation.held(cache):
        assert "arm64" in resolve(asked("arm64", out=cache / "out")).devices

    empty(folder / "count.so")
    assert cli.main(["setup", "arm64"]) == 2
    told = "the arm64 environment is damaged (count.so has another size)"
    assert capsys.readouterr().err == f"error: {told}; {ELSEWHERE}\n"


def test_nothing_in_a_cache_that_cannot_be_written(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_read_only(cache)
    assert cli.main(["setup", "arm64"]) == 2
    assert capsys.readouterr().err.endswith(f"arm64.lock'; {ELSEWHERE}\n")
    assert cli.main(["setup", "arm64", "--remove"]) == 0
    assert capsys.readouterr().out == f"nothing to remove in {cache}\n"


# --- removed, and cut off --------------------------------------------------------------------


def test_removing_frees_what_was_shown(cache: Path) -> None:
    assert installation.size_bytes(cache) == installation.remove(cache, progress=quiet) == 0
    folder = installation.setup(cache, progress=quiet).folder
    (folder / "big").write_bytes(b"x" * 100_000)
    size = installation.size_bytes(cache)
    assert size >= 100_000
    assert installation.remove(cache, progress=quiet) == size
    assert not (cache / "arm64").exists()
    with pytest.raises(UsageError, match="has not been set up"):
        installation.find(cache)


def test_removing_nothing_says_so(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["setup", "arm64", "--remove"]) == 0
    assert capsys.readouterr().out == f"nothing to remove in {cache}\n"


@pytest.mark.usefixtures("folder")
def test_several_that_remove_at_once_do_not_clash(cache: Path) -> None:
    assert at_once(4, installation.remove, cache) == [0] * 4
    assert not (cache / "arm64").exists()


def test_removing_waits_for_a_setup_and_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "_build", build_slowly)
    other = FORK.Process(target=installation.setup, args=(cache,), kwargs={"progress": quiet})
    other.start()
    while not (cache / "built").exists():
        assert other.is_alive()
    assert "leftover" not in [code for _, code, _, _ in examined()]
    assert cli.main(["setup", "arm64", "--remove"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "another setup is running; waiting for it\n"
    assert shown.out.startswith("removed ")
    other.join()
    assert not (cache / "arm64").exists()


def test_doctor_tells_how_large_the_core_is_and_what_a_set_up_left_that_was_cut_off(
    cache: Path, folder: Path
) -> None:
    size = units.file_size(installation.size_bytes(cache))
    said = f"cortex-a53 under qemu 7.2.22, litert 2.3.0, {size} in {cache}"
    assert examined() == [("info", "core", said, "")]

    left = folder.with_name("partial-cut-off")
    left.mkdir()
    (left / "python3.deb").write_bytes(b"x" * 2_000_000)
    (core, leftover) = examined()
    assert core[:2] == ("info", "core")
    assert leftover == (
        "warning",
        "leftover",
        f"a set-up that was interrupted left {units.file_size(installation.leftover_bytes(cache))}",
        f"{SETUP} clears it",
    )
    assert installation.leftover_bytes(cache) >= 2_000_000

    installation.setup(cache, progress=quiet)
    assert not left.exists()
    assert examined() == [("info", "core", said, "")]


@pytest.mark.usefixtures("folder")
def test_devices_and_doctor_see_what_is_ready(cache: Path) -> None:
    assert devices.probe("arm64", ArmSpec(cpu="cortex-a53"), Attendant()).state == "ready"
    (finding,) = doctor.doctor("arm64", ArmSpec(cpu="cortex-a55"), cache, Attendant())
    assert finding.level == "serious" and "no cortex-a55" in finding.message


PHONELESS = "devices: {host: {kind: host}, arm64: {kind: arm64-emulated, cpu: cortex-a53}}"


@pytest.mark.parametrize(
    ("options", "phones", "told"),
    [
        (["--device", "arm64"], True, False),
        (["--device", "host"], True, False),
        ([], True, True),
        ([], False, False),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_unproved_on_phones_is_told_only_where_phones_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    phones: bool,
    told: bool,
) -> None:
    monkeypatch.setattr("harness.devices.host.inspection.LOOK_S", 0.0)
    if not phones:
        shutil.copytree(config.load_project(None).models_dir, tmp_path / "models")
        (tmp_path / "devices.yaml").write_text(PHONELESS)
        options = [*options, "--project", str(tmp_path)]
    assert cli.main(["doctor", *options]) == 0
    shown = capsys.readouterr().out
    assert ("not yet proved on a real phone" in shown) == told
    assert ("the USB cable" in shown) == told
