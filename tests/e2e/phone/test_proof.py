"""`doctor --prove`: what a phone answers, as a file that can be sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from harness.commands import _prove
from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec
from harness.devices.android import proof
from harness.emulator.faults import Faults
from harness.emulator.userland import VARIABLE
from tests.phone_bench import assert_clean, entry
from tests.phones import USERLANDS, adb_home, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")


@pytest.mark.parametrize("userland", USERLANDS)
def test_every_answer_is_there_and_nothing_of_the_single_phone(
    userland: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, userland)
    with emulated(fixed_latency_us=None) as phone:
        spec = AndroidSpec(transport="adb_tcp", address=phone.address)
        text = proof.prove(spec, Attendant())
        assert_clean(phone)
    assert "EMULATED0001" not in text
    answers = json.loads(text)["answers"]
    assert "Thermal Status: 0" in answers["thermal"]["printed"]
    assert answers["a status"]["status"] == 7
    size, sum_, encoded, rest = answers["a file"]["printed"].split("\n", 3)
    assert (size, encoded) == ("3", "YWJj")
    assert sum_.startswith("ba7816bf8f01cfea414140de5dae2223")
    assert rest == "abcb"
    assert answers["big cores"]["printed"].split()[-1] == "c0"
    assert [n for n, a in answers.items() if n.startswith("has ") and a["status"]] == []


@pytest.mark.long
def test_the_command_makes_every_measurement_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it fails on this phone, which has no NPU, and is told like the rest."""
    short = {"--quick": ("--launches", "1", "--iterations", "2"), "2m": ("8s",)}
    monkeypatch.setattr(
        _prove,
        "STEPS",
        tuple(
            step._replace(options=tuple(x for o in step.options for x in short.get(o, (o,))))
            for step in _prove.STEPS
        ),
    )
    faults = Faults(accelerator="all", accelerator_answers="nan")
    with emulated(faults=faults, fixed_latency_us=None) as phone:
        runner = {"device_path": "/system/bin/benchmark_model"}
        there = phone.phone.root / "data/app/org.tensorflow.lite.benchmark/base.apk"
        there.parent.mkdir(parents=True)
        there.write_bytes(b"PK an app")
        (tmp_path / "devices.yaml").write_text(
            yaml.safe_dump(
                {"devices": {"mine": entry(phone, runner=runner), "host": {"kind": "host"}}}
            )
        )
        done = run_harness(tmp_path, "doctor", "--device", "mine", "--prove")
        assert done.returncode == 0, done.stdout
        assert_clean(phone)
    assert "proof: written to proof-mine.json" in done.stdout
    text = (tmp_path / "proof-mine.json").read_text()
    assert "EMULATED0001" not in text
    proof = json.loads(text)
    assert proof["emulated"] is True
    assert [r["what"] for r in proof["runs"]] == [s.what for s in _prove.STEPS]
    made = {r["what"]: r for r in proof["runs"]}
    assert {w: r["said"] for w, r in made.items() if r["status"] == 2} == {}
    images = made["test images answered there"]["cases"]
    wrong = {c["delegate"]: c["metrics"]["not_finite"] for c in images}
    assert wrong == {"cpu": 0, "gpu": 1, "gpu-fp32": 1}
    found = {f["code"] for c in images if c["delegate"] == "gpu" for f in c["findings"]}
    assert "delegate-changed-answers" in found
    (energy,) = made["heat and energy"]["cases"]
    assert energy["metrics"]["energy"] > 0
    assert "Replacing" in made["GPU in float16 and float32"]["printed"]
    app = made["Google's benchmark app"]
    assert {c["runtime"] for c in app["cases"]} == {"benchmark_model", "benchmark_app"}
    refused = run_harness(tmp_path, "doctor", "--device", "host", "--prove")
    assert refused.returncode == 2
    assert "--prove is for phones" in refused.stderr
