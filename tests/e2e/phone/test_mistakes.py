"""Mistakes in devices.yaml that only the phone shows: told in one line before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import EXIT_USAGE, HarnessError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android import kind
from tests.phone_bench import RUNNER, TINY, assert_clean, bench, documented, entry
from tests.phones import adb_home, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

THERE = RunnerSpec(device_path="/system/bin/benchmark_model")
MISTAKES: dict[str, dict[str, Any]] = {
    "a core that the phone does not have": {"affinity": "1ff"},
    "work folder not there": {"work_dir": "/data/local/tmp/typo"},
    "runner not on the phone": {"runner": RunnerSpec(device_path="/system/bin/none")},
    "other dialect": {"runner": RunnerSpec(device_path=THERE.device_path, dialect="B")},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_the_status_of_one(name: str) -> None:
    with emulated() as phone:
        spec = AndroidSpec(
            transport="adb_tcp", address=phone.address, **{"runner": THERE, **MISTAKES[name]}
        )
        with pytest.raises(HarnessError) as caught:
            kind.check(spec, Attendant())
        assert_clean(phone)
    assert caught.value.exit_code == EXIT_USAGE
    assert documented(name).fullmatch(f"error: phone: {caught.value}")


def test_a_file_that_is_not_the_one_named_is_not_said_to_be_fetched_again(tmp_path: Path) -> None:
    with emulated() as phone:
        runner = {"path": str(RUNNER), "sha256": "0" * 64}
        run = bench(tmp_path, {"phone": entry(phone, runner=runner)})
    assert run.status == EXIT_USAGE
    assert "correct runner.sha256 if you trust this one" in run.stderr
    assert "download it again" not in run.stderr
    assert not (tmp_path / "reports").exists()


def test_a_runner_that_this_machine_lacks_is_told_without_asking_a_phone(tmp_path: Path) -> None:
    entry = {"kind": "android", "runner": {"path": "typo/benchmark_model"}}
    for more in ({"transport": "emulated"}, {"transport": "adb_tcp", "address": "127.0.0.1:1"}):
        run = bench(tmp_path, {"phone": entry | more})
        assert run.status == EXIT_USAGE
        assert run.stderr == (
            f"error: phone: runner.path: there is no file {tmp_path}/typo/benchmark_model; "
            "correct devices.yaml\n"
        )
        assert not (tmp_path / "reports").exists()


def test_a_mistake_that_is_found_late_is_still_the_users(tmp_path: Path) -> None:
    """An emulated phone is made for the run, so it is not asked beforehand."""
    toy = {"kind": "android", "transport": "emulated", "affinity": "100", "runner": {
        "device_path": THERE.device_path}}  # fmt: skip
    run = bench(tmp_path, {"toy": toy}, TINY, "--launches", "1")
    assert run.status == EXIT_USAGE, run.stderr
    assert "toy failed (configuration): affinity: '100'" in run.stderr
