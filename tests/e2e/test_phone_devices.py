"""`devices` and `doctor` say what is wrong with a phone, and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec, RunnerSpec
from harness.devices import probe_all
from harness.doctor import doctor
from harness.emulator.faults import Faults
from tests.phones import adb_home, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

ON_DEVICE = RunnerSpec(device_path="/system/bin/benchmark_model")


def test_devices_tells_ready_from_absent_from_unauthorised() -> None:
    with emulated() as good, emulated(faults=Faults(refused_key=True)) as refusing:
        devices: dict[str, DeviceSpec] = {
            "host": HostSpec(),
            "arm": ArmSpec(),
            "good": AndroidSpec(transport="adb_tcp", address=good.address),
            "refusing": AndroidSpec(
                transport="adb_tcp", address=refusing.address, connect_timeout_s=2
            ),
            "gone": AndroidSpec(transport="adb_tcp", address="127.0.0.1:1"),
            "built-in": AndroidSpec(transport="emulated"),
            "server": AndroidSpec(transport="adb_server", adb_server="127.0.0.1:1"),
            "cable": AndroidSpec(serial="nobody"),
        }
        probes = {p.name: p for p in probe_all(devices) if p.configured}
    assert list(probes) == list(devices)
    states = {name: p.state for name, p in probes.items()}
    assert states.pop("cable") in ("absent", "error")
    assert states.pop("arm") in ("ready", "absent"), "by whether it has been set up here"
    assert states == {
        "host": "ready",
        "good": "ready",
        "refusing": "unauthorized",
        "gone": "absent",
        "built-in": "ready",
        "server": "absent",
    }
    assert probes["good"].model == "Google Pixel 7 (emulated)"
    assert probes["good"].emulated
    assert probes["good"].battery_percent == 83
    for probe in probes.values():
        assert (probe.state == "ready") == (not probe.error)
        assert (probe.state == "ready") == (not probe.mend)


def test_looking_leaves_the_phone_alone() -> None:
    with emulated() as phone:
        probe_all({"x": AndroidSpec(transport="adb_tcp", address=phone.address)})
        assert phone.phone.fixed_performance is False
        assert list(phone.phone.work.iterdir()) == []


def test_doctor_of_a_fit_phone(tmp_path: Path) -> None:
    with emulated() as phone:
        spec = AndroidSpec(transport="adb_tcp", address=phone.address, runner=ON_DEVICE)
        findings = doctor("x", spec, tmp_path, Attendant())
        assert list(phone.phone.work.iterdir()) == []
        assert phone.phone.fixed_performance is False
    assert [f.code for f in findings if f.level != "info"] == ["emulated"]
    assert [f.code for f in findings] == [
        "connect",
        "emulated",
        "thermal",
        "battery",
        "clocks",
        "storage",
        "runner",
    ]


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (Faults(hot=2), "thermal"),
        (Faults(battery_percent=3), "battery"),
        (Faults(full_disk=True), "push"),
        (Faults(read_only=True), "prepare"),
        (Faults(wrong_hash=True), "push"),
        (Faults(refused_key=True), "connect"),
    ],
)
def test_doctor_of_a_sick_phone(tmp_path: Path, faults: Faults, code: str) -> None:
    with emulated(faults=faults) as phone:
        spec = AndroidSpec(
            transport="adb_tcp", address=phone.address, runner=ON_DEVICE, connect_timeout_s=2
        )
        findings = doctor("x", spec, tmp_path, Attendant())
    bad = [f for f in findings if f.level != "info" and f.code != "emulated"]
    assert [f.code for f in bad] == [code]
    assert bad[0].mend


def test_doctor_runs_the_runner(tmp_path: Path) -> None:
    with emulated() as phone:
        spec = AndroidSpec(
            transport="adb_tcp",
            address=phone.address,
            runner=RunnerSpec(device_path="/system/bin/none"),
        )
        bad = [
            f
            for f in doctor("x", spec, tmp_path, Attendant())
            if f.level != "info" and f.code != "emulated"
        ]
    assert [f.level for f in bad] == ["serious"]
    assert "not on the phone" in bad[0].message
