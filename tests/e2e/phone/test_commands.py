"""`devices`, `doctor` and a phone that is not there, as the command line tells them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.core.specs import AndroidSpec
from harness.devices.android.unproved import UNPROVED, unproved
from harness.emulator.faults import Faults
from tests.paths import ROOT
from tests.phones import adb_home, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

TINY = ROOT / "tests/data/models/tiny_float32.tflite"


def harness(
    folder: Path, entries: dict[str, Any] | None, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """A command in a folder whose devices.yaml has these entries; without any, the shipped one."""
    if entries is not None:
        (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
    return run_harness(folder, *arguments)


def phone(address: str, **changes: Any) -> dict[str, Any]:
    runner = {"device_path": "/system/bin/benchmark_model"}
    return {"kind": "android", "transport": "adb_tcp", "address": address, "runner": runner} | (
        changes
    )


TUNNEL = (
    "start what listens there: a tunnel (adb forward, ssh -L), or the emulated phone "
    "(python -m harness emulate)"
)


def test_devices_as_json_and_as_text(tmp_path: Path) -> None:
    """Absent and unauthorised phones are no error of this command: it is for finding them."""
    with emulated(fixed_latency_us=1000) as good, emulated(faults=Faults(refused_key=True)) as shut:
        entries = {
            "host": {"kind": "host"},
            "good": phone(good.address),
            "shut": phone(shut.address, connect_timeout_s=3),
            "gone": phone("127.0.0.1:1"),
        }
        done = harness(tmp_path, entries, "devices", "--json")
        text = harness(tmp_path, entries, "devices")
    assert (done.returncode, text.returncode) == (0, 0)
    probes = {p["name"]: p for p in json.loads(done.stdout) if p["configured"]}
    assert {name: p["state"] for name, p in probes.items()} == {
        "host": "ready",
        "good": "ready",
        "shut": "unauthorized",
        "gone": "absent",
    }
    assert probes["good"]["serial"] == "EMULATED0001"
    assert probes["good"]["emulated"] is True
    assert probes["gone"]["mend"] == TUNNEL
    asked = "shut: the phone asks whether to allow this computer; unlock it and tap Allow"
    assert asked in done.stderr, "not in the JSON, which is for programs"
    lines = [line.rstrip() for line in text.stdout.splitlines()]
    (host,) = [line for line in lines if line.startswith("host")]
    assert re.fullmatch(r"host  ready {9}this machine +ready", host)
    gone = next(i for i, line in enumerate(lines) if line.startswith("gone"))
    assert lines[gone].endswith("no phone answers at 127.0.0.1:1 (refused)")
    assert lines[gone + 1] == f"      -> {TUNNEL}"


def test_doctor_tells_what_is_unproved_and_its_status_whether_one_can_measure(
    tmp_path: Path,
) -> None:
    with emulated(fixed_latency_us=1000) as good:
        fit = harness(tmp_path, {"mine": phone(good.address)}, "doctor", "--device", "mine")
    assert fit.returncode == 0, fit.stdout
    assert fit.stderr.splitlines() == [
        "mine: the phone asks whether to allow this computer; unlock it and tap Allow "
        "(waiting 30 s)"
    ]
    lines = fit.stdout.splitlines()
    assert lines[:2] == ["mine", "  ok  connect: connected to Google Pixel 7 (emulated)"]
    start = lines.index("not yet proved on a real phone by this project; with yours you can:")
    told = lines[start + 1 :]
    assert told[::2] == [f"  {what}" for what, _ in UNPROVED]
    assert all(line.startswith("      -> ") for line in told[1::2])
    assert not any("{" in line for line in told if "runner: {" not in line)
    assert sum("--device mine" in line for line in told) > 8
    for word in ("settaskprofile", "/proc", "sha256sum", "dumpsys", "pulled", "paired", "download",
                 "dialect A"):  # fmt: skip
        assert any(word in line for line in told), word
    unfit = harness(tmp_path, {"mine": phone("127.0.0.1:1")}, "doctor", "--device", "mine")
    assert unfit.returncode == 3
    assert unfit.stdout.splitlines()[:3] == [
        "mine",
        "  !!  connect: no phone answers at 127.0.0.1:1 (refused)",
        f"      -> {TUNNEL}",
    ]


def test_the_commands_name_the_phone_that_was_asked_for() -> None:
    emulated_only = {"mine": AndroidSpec(transport="emulated")}
    assert all("pixel" not in how for _, how in unproved(emulated_only))
    real_too = {**emulated_only, "yours": AndroidSpec()}
    assert any("--device yours" in how for _, how in unproved(real_too))


def test_no_phone_on_the_cable(tmp_path: Path) -> None:
    """With the shipped devices.yaml, as somebody meets it who just tries."""
    done = harness(tmp_path, None, "bench", TINY, "--device", "pixel")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        "error: pixel: no phone on USB; connect one, switch on Settings > Developer options > USB "
        "debugging, and choose a cable that carries data\n"
    )
    assert not (tmp_path / "reports").exists()


def test_in_a_log_every_phone_has_its_line(tmp_path: Path) -> None:
    """Outside of a terminal too, where lines are few: not only the quickest phone is heard of."""
    names = ("one", "two", "three")
    with (
        emulated(fixed_latency_us=1000) as a,
        emulated(fixed_latency_us=1000) as b,
        emulated(fixed_latency_us=1000) as c,
    ):
        entries = {n: phone(d.address) for n, d in zip(names, (a, b, c), strict=True)}
        done = harness(
            tmp_path, entries, "bench", TINY, "--device", "all", "--launches", "1",
            "--iterations", "2",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in names:
        told = [x for x in done.stderr.splitlines() if x.startswith(f"{name}: launch")]
        assert told == [f"{name}: launch 1 of 1, tiny_float32"]
