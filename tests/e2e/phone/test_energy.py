"""Energy per inference on an emulated phone, whose battery shows a draw that is made up: 2.0 W more
while the runner computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.types import CaseReport
from harness.emulator.faults import Faults
from harness.emulator.gauge import LOAD_MA, VOLTAGE_UV
from tests.phone_bench import TINY, assert_clean, bench, entry
from tests.phones import emulated

pytestmark = pytest.mark.slow

LOAD_W = LOAD_MA / 1e3 * VOLTAGE_UV / 1e6


def sustained(
    folder: Path, faults: Faults, *, rails: bool = False, dialect: Any = "A"
) -> CaseReport:
    with emulated(faults=faults, fixed_latency_us=5000, rails=rails, dialect=dialect) as phone:
        run = bench(folder, {"phone": entry(phone)}, TINY, "--sustained", "8s")
        assert run.status == 0, run.stderr
        assert_clean(phone)
    (case,) = run.report.cases
    return case


def test_the_battery_and_the_rails_tell_what_the_load_adds(tmp_path: Path) -> None:
    case = sustained(tmp_path, Faults(battery_current="milliamperes"), rails=True)
    (launch,) = case.launches
    battery, rails = launch.drawn
    seconds = [ns / 1e9 for ns in battery.ns_per_inference]
    expected = LOAD_W * sorted(seconds)[len(seconds) // 2]
    assert (battery.unit, rails.unit) == ("mA", "µWs")
    assert case.metrics["energy"].point == pytest.approx(expected, rel=0.1)
    # A tenth of the made-up draw is the modem's, which a model does not load.
    assert case.metrics["energy_rails"].point == pytest.approx(0.9 * expected, rel=0.15)
    assert "2 stretches" in case.metrics["energy"].absent["ci"]
    assert "power" in {f.code for f in case.findings}


def test_a_phone_on_a_cable_tells_nothing_of_what_it_draws(tmp_path: Path) -> None:
    case = sustained(tmp_path, Faults(charging=True), dialect="B")
    assert "energy" not in case.metrics
    (launch,) = case.launches
    assert launch.absent["drawn:battery"] == "the phone charges"
    (finding,) = [f for f in case.findings if f.code in ("charging", "no-energy")]
    assert "without a cable" in finding.fix


@pytest.mark.parametrize("fault", ["unreadable", "stuck"])
def test_a_gauge_that_does_not_tell_is_absent_with_the_reason(tmp_path: Path, fault: str) -> None:
    case = sustained(tmp_path, Faults(battery_current=fault))  # type: ignore[arg-type]
    (launch,) = case.launches
    said = {"unreadable": "does not let its shell read", "stuck": "the same current all the time"}
    assert said[fault] in launch.absent["drawn:battery"]
    (finding,) = [f for f in case.findings if f.code == "no-energy"]
    assert said[fault] in finding.message
    assert launch.latency_summary is not None
