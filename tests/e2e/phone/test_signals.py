"""Ctrl-C, SIGTERM: a run ends within seconds, keeps what it measured, and leaves every phone as it
was."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import load_profile
from tests.phone_bench import RUNNER, SHORT, TINY, Run, assert_clean, entry, hanging, has_file
from tests.phones import adb_home, command, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")


def pushing(phone: Daemon) -> Callable[[], bool]:
    return lambda: has_file(phone, "*.part")


def cooling(phone: Daemon) -> Callable[[], bool]:
    """The model is there and no runner was started: it only asks for the temperature."""
    began: list[float] = []

    def holds() -> bool:
        if has_file(phone, "*.tflite"):
            began.append(time.monotonic())
        return bool(began) and time.monotonic() > began[0] + 1

    return holds


STAGES: dict[str, tuple[Faults, dict[str, Any], Callable[[Daemon], Callable[[], bool]]]] = {
    "push": (Faults(slow_link=10_000), {"runner": {"path": str(RUNNER)}}, pushing),
    "launch": (Faults(runner="hang"), {}, hanging),
    "cooling": (Faults(hot=3), {}, cooling),
}


@pytest.mark.parametrize("phones", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c(tmp_path: Path, stage: str, phones: int) -> None:
    """It ends within seconds, though a launch may last 300, and cleans up on every phone."""
    faults, changes, reached = STAGES[stage]
    with contextlib.ExitStack() as stack:
        all_phones = [
            stack.enter_context(emulated(faults=faults, fixed_latency_us=1000))
            for _ in range(phones)
        ]
        entries = {f"phone{n}": entry(p, **changes) for n, p in enumerate(all_phones)}
        run = Run(tmp_path, entries, TINY, *SHORT)
        for phone in all_phones:
            run.until(reached(phone))
        run.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert run.finish() == 130, run.stderr
        assert time.monotonic() - began < 200
        for phone in all_phones:
            assert_clean(phone)
    assert run.report.stopped is not None
    assert run.report.stopped.reason == "interrupted"
    assert "--resume" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
@pytest.mark.parametrize("phones", [1, 2])
def test_an_impatient_user(tmp_path: Path, phones: int, number: signal.Signals) -> None:
    """Signals go on coming while the phones are put back, which takes a moment."""
    with contextlib.ExitStack() as stack:
        all_phones = [
            stack.enter_context(emulated(faults=Faults(runner="hang"))) for _ in range(phones)
        ]
        for phone in all_phones:
            command(phone, "cmd", '[ $3 = true ] || sleep 1; "$REAL" "$@"')
        run = Run(tmp_path, {f"p{n}": entry(p) for n, p in enumerate(all_phones)}, TINY, *SHORT)
        for phone in all_phones:
            run.until(hanging(phone))
        while run.process.poll() is None and any(
            p.phone.fixed_performance or list(p.phone.work.iterdir()) for p in all_phones
        ):
            run.process.send_signal(number)
            time.sleep(0.1)
        assert run.finish() == 130, run.stderr
        for phone in all_phones:
            assert_clean(phone)
    assert run.report.stopped is not None, "it is saved all the same"


def test_ctrl_c_keeps_what_was_measured_and_resume_goes_on(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=100_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "6", "--iterations", "3")
        run.until(lambda: run.launches_saved() >= 2)
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 130
        assert_clean(phone)
        saved = run.report.cases[0].launches
        assert 2 <= len(saved) < 6
        done = run_harness(tmp_path, "bench", "--resume", "latest")
        assert done.returncode == 0, done.stderr
        assert_clean(phone)
    launches = run.report.cases[0].launches
    assert len(launches) == 6
    assert launches[: len(saved)] == saved


PIXEL = load_profile("pixel").props


@pytest.mark.parametrize(
    ("changed", "then", "now"),
    [
        ({"ro.serialno": "OTHER"}, "serial EMULATED0001", "serial OTHER"),
        (
            {"ro.build.fingerprint": "emulated/2"},
            f"build {PIXEL['ro.build.fingerprint']}",
            "build emulated/2",
        ),
    ],
)
def test_a_run_does_not_go_on_with_another_phone_or_another_build_of_its_software(
    tmp_path: Path, changed: dict[str, str], then: str, now: str
) -> None:
    """Launches of both would become one case with one interval."""
    options = (TINY, "--launches", "6", "--iterations", "3")
    with emulated(fixed_latency_us=100_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, *options)
        run.until(lambda: run.launches_saved() >= 2)
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 130
    saved = run.launches_saved()
    with emulated(fixed_latency_us=100_000, props=PIXEL | changed) as other:
        (tmp_path / "devices.yaml").write_text(yaml.safe_dump({"devices": {"phone": entry(other)}}))
        done = run_harness(tmp_path, "bench", "--resume", "latest")
        assert_clean(other)
    assert done.returncode == 2, done.stderr
    told = f"error: phone is not what the run began on: then {then}; now {now}; connect the same"
    assert told in done.stderr
    assert run.launches_saved() == saved
