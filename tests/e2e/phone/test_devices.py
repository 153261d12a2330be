"""`devices` and `doctor` say what is wrong with a phone, and the fix."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import usb1
import yaml

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec, RunnerSpec
from harness.devices import Probe
from harness.devices.doctor import doctor
from harness.devices.probe import probe_all
from harness.devices.transports import adb_usb
from harness.emulator.faults import Faults
from harness.emulator.phone import load_profile
from tests.phones import Listening, adb_home, adb_server, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

ON_DEVICE = RunnerSpec(device_path="/system/bin/benchmark_model")


def looked(devices: dict[str, DeviceSpec], said: list[str] | None = None) -> list[Probe]:
    """What `devices` finds; what the phones say goes to `said`."""
    return probe_all(devices, lambda name: Listening([] if said is None else said))


def known_as(serial: str) -> dict[str, str]:
    """The properties of a phone with this serial."""
    return {**load_profile("pixel").props, "ro.serialno": serial}


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
        probes = {p.name: p for p in looked(devices) if p.configured}
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
        assert (probe.state == "ready") == (not probe.fix)


def test_a_phone_that_asks_its_user_is_announced() -> None:
    said: list[str] = []
    with emulated(confirm_after_s=0.5) as phone:
        spec = AndroidSpec(transport="adb_tcp", address=phone.address)
        (probe,) = [p for p in looked({"x": spec}, said) if p.configured]
    assert probe.state == "ready", "the user tapped Allow while it waited"
    assert said == [
        "the phone asks whether to allow this computer; unlock it and tap Allow (waiting 5 s)"
    ]


@pytest.mark.needs("adb")
def test_phones_of_any_named_server_are_listed_once_with_what_they_are(adb_home: Path) -> None:
    """Ready, not allowed and offline are told apart; one that an entry reaches otherwise is not
    listed again."""
    with (
        emulated(props=known_as("MINE")) as mine,
        emulated(props=known_as("FREE")) as free,
        emulated(trusted=[]) as shut,
        socket.create_server(("127.0.0.1", 0)) as mute,
        adb_server(adb_home) as adb,
    ):
        server = f"127.0.0.1:{adb.port}"
        silent = f"127.0.0.1:{mute.getsockname()[1]}"
        for phone in (mine, free):
            adb.connect(phone.address)
        adb("connect", shut.address)
        threading.Thread(target=adb, args=("connect", silent)).start()  # it would wait 10 s
        devices: dict[str, DeviceSpec] = {
            "mine": AndroidSpec(transport="adb_tcp", address=f"localhost:{mine.port}"),
            "named": AndroidSpec(transport="adb_server", adb_server=server, serial="nobody"),
        }
        others = {p.name: p for p in looked(devices) if not p.configured}
    assert set(others) == {free.address, shut.address, silent}
    found = others[free.address]
    assert (found.state, found.serial, found.model) == (
        "ready",
        "FREE",
        "Google Pixel 7 (emulated)",
    )
    entry = yaml.safe_load(found.fix.removeprefix("add to devices.yaml: "))
    assert entry == {
        "kind": "android",
        "transport": "adb_server",
        "serial": free.address,
        "adb_server": server,
    }
    assert others[shut.address].state == "unauthorized"
    assert "allow USB debugging" in others[shut.address].fix
    assert others[silent].state == "absent"
    assert "is offline" in others[silent].error


class Plugged:
    """A phone on USB as libusb shows it; its serial cannot be read without permission."""

    def __init__(self, serial: str | None) -> None:
        self._serial = serial

    @property
    def serial_number(self) -> str:
        if self._serial is None:
            raise PermissionError
        return self._serial

    def connect(self, *_: object) -> None:
        raise usb1.USBErrorAccess


def test_a_phone_on_usb_is_not_ready_before_it_let_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no USB here: what libusb would list is made up, the rest is not."""
    phones = [Plugged("KNOWN"), Plugged("NEW"), Plugged(None)]
    monkeypatch.setattr(adb_usb, "plugged_in", lambda: phones)
    probes = looked({"cable": AndroidSpec(serial="KNOWN")})
    assert [(p.name, p.state, p.configured) for p in probes] == [
        ("cable", "error", True),
        ("NEW", "error", False),
        ("?", "error", False),
    ]
    assert all("no permission for USB" in p.error for p in probes)
    assert all("udev rules" in p.fix for p in probes)


def test_looking_leaves_the_phone_alone() -> None:
    with emulated() as phone:
        looked({"x": AndroidSpec(transport="adb_tcp", address=phone.address)})
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
    assert bad[0].fix


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
