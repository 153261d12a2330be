"""`doctor --prove`: what a phone answers, as a file that can be sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec
from harness.devices.android import proof
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
    with emulated() as phone:
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


def test_the_command_writes_it(tmp_path: Path) -> None:
    with emulated() as phone:
        (tmp_path / "devices.yaml").write_text(
            yaml.safe_dump({"devices": {"mine": entry(phone), "host": {"kind": "host"}}})
        )
        done = run_harness(tmp_path, "doctor", "--device", "mine", "--prove")
        assert done.returncode == 0, done.stdout
        assert_clean(phone)
    assert "proof: written to proof-mine.json" in done.stdout
    assert json.loads((tmp_path / "proof-mine.json").read_text())["emulated"] is True
    refused = run_harness(tmp_path, "doctor", "--device", "host", "--prove")
    assert refused.returncode == 2
    assert "--prove is for phones" in refused.stderr
