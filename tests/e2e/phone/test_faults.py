"""The fault table as a user meets it: whatever goes wrong with a phone, `bench` says it in one line
with the fix, exits with the right status, keeps every finished launch, and leaves the phone as it
was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.emulator.faults import Faults
from tests.paths import DATA
from tests.phone_bench import RUNNER, TINY, Run, assert_clean, bench, documented, entry
from tests.phones import adb_home, adb_server, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")


# --- the table -------------------------------------------------------------------------------

# Fault -> (faults of the phone, changes of its entry, exit status, what the line says).
TABLE: dict[str, tuple[Faults, dict[str, Any], str]] = {
    "unauthorised": (
        Faults(refused_key=True),
        {"connect_timeout_s": 2},
        "did not allow this computer",
    ),
    "disk full": (Faults(full_disk=True), {"runner": {"path": str(RUNNER)}}, " kB free"),
    "work folder not writable": (Faults(read_only=True), {}, "Permission denied"),
    "wrong hash": (Faults(wrong_hash=True), {}, "arrived damaged"),
    "runner crashes": (Faults(runner="crash"), {}, "crashed (status 134"),
    "runner hangs": (Faults(runner="hang"), {"launch_timeout_s": 3}, "did not end within 3 s"),
    "runner prints garbage": (Faults(runner="garbage"), {}, "no usable result"),
    "runner prints half a line": (Faults(runner="half_line"), {}, "no usable result"),
    "runner never stops printing": (Faults(runner="endless"), {}, "printed more than"),
    "unknown flag": (Faults(runner="unknown_flag"), {}, "does not know --num_threads=1"),
    "model rejected": (Faults(runner="rejects_model"), {}, "Didn't find op for builtin opcode"),
    "battery low": (Faults(battery_percent=5), {}, "battery is at 5 %"),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_fault_is_one_line_that_says_how_to_fix_it(tmp_path: Path, name: str) -> None:
    faults, changes, words = TABLE[name]
    with emulated(faults=faults) as phone:
        run = bench(tmp_path, {"phone": entry(phone, **changes)})
        assert run.status == 3, run.stderr
        line = run.said("failed (")
        assert words in line
        assert "; " in line, "the fix is missing"
        assert documented(name).fullmatch(line)
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "failed"
    assert case.failure is not None
    assert words in case.failure.message
    assert case.failure.fix


def test_a_runner_for_another_abi(tmp_path: Path) -> None:
    foreign = tmp_path / "benchmark_model"
    foreign.write_bytes(b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x02\0\xf3\0" + bytes(200))
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone, runner={"path": str(foreign)})})
        assert run.status == 2
        assert "is built for riscv64, and the phone is " in run.said("error: ")
        assert documented("wrong ABI").fullmatch(run.said("error: "))
        assert_clean(phone)
    assert not (tmp_path / "reports").exists()


def test_no_device_is_told_before_anything_is_built(tmp_path: Path) -> None:
    run = bench(tmp_path, {"phone": entry("127.0.0.1:1")})
    assert run.status == 3
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("error: phone: no phone answers at 127.0.0.1:1")
    assert documented("nobody at the address").fullmatch(line)
    assert not (tmp_path / "reports").exists()


@pytest.mark.needs("adb")
def test_two_devices_and_no_serial(tmp_path: Path, adb_home: Path) -> None:
    with emulated() as one, emulated() as two, adb_server(adb_home) as server:
        server.connect(one.address)
        server.connect(two.address)
        spec = entry(one, transport="adb_server", adb_server=f"127.0.0.1:{server.port}")
        del spec["address"]
        run = bench(tmp_path, {"phone": spec})
    assert run.status == 2
    (line,) = run.stderr.strip().splitlines()
    assert "2 phones are connected" in line
    assert documented("two phones, no serial").fullmatch(line)


# --- the cable -------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [True, False], ids=["plugged in again", "for good"])
@pytest.mark.parametrize("when", ["push", "launch"])
def test_unplugged(tmp_path: Path, when: str, again: bool) -> None:
    faults = Faults(
        unplug_after_bytes=12_000 if when == "push" else None,
        unplug_during="--num_runs" if when == "launch" else None,
        unplugged_for_s=0.5 if again else None,
    )
    with emulated(faults=faults, fixed_latency_us=400_000) as phone:
        run = bench(tmp_path, {"phone": entry(phone, runner={"path": str(RUNNER)})})
        if again:
            assert run.status == 0, run.stderr
            assert documented("unplugged").fullmatch(run.said("waiting for the phone"))
            assert_clean(phone)
        else:
            assert run.status == 3, run.stderr
            assert "; " in run.said("phone failed (")
            assert run.said("could not be undone")
    assert [len(c.launches) for c in run.report.cases] == [2 if again else 0]


def test_unplugged_between_launches_keeps_the_finished_ones(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=100_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "20", "--iterations", "3")
        run.until(lambda: run.launches_saved() >= 2)
        phone.unplug()
        assert run.finish() == 3
    (case,) = run.report.cases
    assert case.failure is not None
    assert len(case.launches) >= 2


@pytest.mark.parametrize("model", ["scalar_input", "int64_ids"])
def test_a_model_that_takes_a_microsecond_or_less(tmp_path: Path, model: str) -> None:
    """The tool prints whole microseconds, and draws whole numbers that a model can look up."""
    with emulated(fixed_latency_us=None) as phone:
        file = DATA / f"models/{model}.tflite"
        run = bench(tmp_path, {"phone": entry(phone)}, file, "--launches", "2")
    (case,) = run.report.cases
    assert case.failure is None
    assert "clock-resolution" in {finding.code for finding in case.findings}
