"""A phone that becomes hot: what is measured again, what is kept, what is not believed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness.core.base import Status
from harness.devices.android import guards
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import load_profile
from harness.results import store
from tests.phone_bench import (
    OTHER,
    TINY,
    Bench,
    Run,
    assert_clean,
    bench,
    documented,
    dumpsys_after,
    entry,
)
from tests.phones import adb_home, command, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")


def test_hot_for_good_from_the_start_is_invalid(tmp_path: Path) -> None:
    with emulated(faults=Faults(hot=3)) as phone:
        run = bench(tmp_path, {"phone": entry(phone, guards={"cooldown_s": 1})})
        assert run.status == 3, run.stderr
        assert documented("hot at the start").fullmatch(run.said("invalid (heat)"))
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "invalid"
    assert case.failure is not None
    assert case.failure.fix
    assert case.launches == ()


SEVERAL = ("--launches", "5", "--iterations", "3")
HOT = 2  # the index of the launch that makes the phone hot


def heats_up(phone: Daemon) -> Path:
    """That launch makes it hot, until the file exists that is the answer."""
    looked = 'case "$*" in *thermalservice*) echo >> $EMULATED_ROOT/state/hot;; esac'
    hot = f"{looked}; sed 's/Thermal Status: 0/Thermal Status: 3/'"
    runs = 2 * HOT + 1  # each of these rounds also has a launch for memory
    dumpsys_after(phone, runs, f"if [ -e $EMULATED_ROOT/state/cool ]; then cat; else {hot}; fi")
    return phone.phone.root / "state/cool"


def until_hot(run: Run, phone: Daemon) -> None:
    """The launch is over, and the phone is waited for to cool: it is looked at once more."""
    looks = phone.phone.root / "state/hot"
    run.until(lambda: looks.exists() and looks.stat().st_size >= 2)


def assert_kept(run: Bench, why: str, status: Status = "invalid") -> None:
    """The hot launch is the last one, and makes the case invalid."""
    (case,) = run.report.cases
    assert case.status == status
    *cool, hot = case.launches
    assert [x.index for x in case.launches] == list(range(HOT + 1))
    assert not any(launch.notes for launch in cool)
    assert [(n.level, n.code) for n in hot.notes] == [("invalid", "throttled")]
    assert "could not be repeated: " + why in hot.notes[0].message
    assert hot.latency_summary


def assert_made_again(folder: Path) -> None:
    """The run goes on: the hot launch is measured anew, stays beside it, and the case is valid."""
    done = run_harness(folder, "bench", "--resume", "latest")
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "reports").glob("[0-9]*")
    (case,) = store.read_report(run).cases
    assert case.status in ("ok", "suspect")
    assert case.failure is None
    assert [x.index for x in case.launches] == [0, 1, 2, 3, 4]
    launch = case.launches[HOT]
    assert [n.code for n in launch.notes] == ["made-again"]
    assert launch.set_aside is not None
    assert [n.code for n in launch.set_aside.notes] == ["throttled"]
    assert launch.set_aside.latency_summary


def test_hot_for_good_from_the_middle_keeps_the_hot_launch(tmp_path: Path) -> None:
    """It cannot be repeated, and is labelled; when the phone has cooled, the run goes on."""
    with emulated(fixed_latency_us=1000) as phone:
        cool = heats_up(phone)
        run = bench(tmp_path, {"phone": entry(phone, guards={"cooldown_s": 1})}, TINY, *SEVERAL)
        assert run.status == 3, run.stderr
        assert documented("hot at the start").fullmatch(run.said("invalid (heat)"))
        assert documented("stays hot").fullmatch(run.said("is kept"))
        assert_clean(phone)
        assert_kept(run, "the phone stayed hot")
        cool.touch()
        assert_made_again(tmp_path)
        assert_clean(phone)


def test_unplugged_for_good_while_it_cools(tmp_path: Path) -> None:
    """The hot launch is kept; when the phone is back and cool, the run goes on."""
    with emulated(fixed_latency_us=1000) as phone:
        cool = heats_up(phone)
        run = Run(tmp_path, {"phone": entry(phone, reconnect_timeout_s=2)}, TINY, *SEVERAL)
        until_hot(run, phone)
        phone.unplug()
        assert run.finish() == 3, run.stderr
        assert run.said("the hot launch is kept")
        assert run.said("phone failed (")
        assert_kept(run, "", "failed")
        cool.touch()
        phone.plug()
        assert_made_again(tmp_path)


def test_unplugged_and_plugged_in_again_while_it_cools(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        cool = heats_up(phone)
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, *SEVERAL)
        until_hot(run, phone)
        cool.touch()
        phone.unplug(for_s=0.5)
        assert run.finish() == 0, run.stderr
        assert run.said("waiting for the phone")
        assert_clean(phone)
    (case,) = run.report.cases
    launch = case.launches[HOT]
    assert [n.code for n in launch.notes] == ["repeated-hot"]
    assert launch.set_aside is not None
    assert [n.code for n in launch.set_aside.notes] == ["became-hot"]


def test_ctrl_c_while_it_cools(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        cool = heats_up(phone)
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, *SEVERAL)
        until_hot(run, phone)
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 130, run.stderr
        assert_clean(phone)
        assert_kept(run, "interrupted")
        cool.touch()
        assert_made_again(tmp_path)
        assert_clean(phone)


def test_an_old_phone_that_warms_up_is_noticed(tmp_path: Path) -> None:
    """Android 9 tells no thermal status; the rounds time the same work again and again."""
    props = {**load_profile("pixel").props, "ro.build.version.sdk": "28"}
    with emulated(fixed_latency_us=10_000, props=props) as phone:
        slower = (
            'us=$EMULATED_ROOT/state/fixed_latency_us; case "$*" in *--num_runs*) '
            'echo $(( $(cat $us) * 12 / 10 )) > $us;; esac; "$REAL" "$@"'
        )
        command(phone, "benchmark_model", slower)
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "7", "--iterations", "3")
        assert run.status == 0, run.stderr
        assert_clean(phone)
    (case,) = run.report.cases
    found = {f.code: f for f in case.findings}
    assert "drift" in found["no-thermal-status"].message
    assert found["drift"].message.startswith("latency rose by")


def heats_up_twice(phone: Daemon) -> None:
    """After each time that the runner runs, the phone is hot the next two times it is looked at."""
    hot = "$EMULATED_ROOT/state/hot"
    runs = f'case "$*" in *--graph*) echo 2 > {hot};; esac; "$REAL" "$@"'
    command(phone, "benchmark_model", runs)
    looks = (
        f'n=$(cat {hot} 2>/dev/null || echo 0); if [ "$1 $n" = "thermalservice 0" ] || '
        f'[ "$1" != thermalservice ]; then exec "$REAL" "$@"; fi; echo $((n - 1)) > {hot}; '
        '"$REAL" "$@" | sed "s/Thermal Status: 0/Thermal Status: 3/"'
    )
    command(phone, "dumpsys", looks)


def test_hot_in_the_middle_twice_is_invalid(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        heats_up_twice(phone)
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "1", "--iterations", "3")
        assert run.status == 3, run.stderr
        (case,) = run.report.cases
        assert_clean(phone)
    assert case.status == "invalid"
    assert len(case.launches) == 1
    (finding,) = [f for f in case.findings if f.level == "invalid"]
    assert "throttled twice" in finding.message
    assert finding.fix


def test_ab_gives_no_answer_from_hot_launches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "POLL_S", 0.01)
    with emulated(fixed_latency_us=1000) as phone:
        heats_up_twice(phone)
        Bench(tmp_path, {"phone": entry(phone)})
        run = run_harness(
            tmp_path, "ab", TINY, OTHER, "--device", "phone", "--quick", "--time-budget", "1ms"
        )
    assert run.returncode == 3
    assert run.stdout == ""
    *_, of_a, of_b, saved = run.stderr.splitlines()
    assert of_a.startswith(f"error: {TINY.stem}: the phone throttled twice during a launch")
    assert of_b.startswith(f"error: {OTHER.stem}: ")
    assert of_b.endswith("; or measure with --sustained")
    assert saved.startswith("saved in ")
