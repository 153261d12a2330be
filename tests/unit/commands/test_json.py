"""`--json -`: every command's whole answer for a program, alone on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from tests.paths import DATA
from tests.unit.test_docs import commands

WITHOUT = {"emulate", "completion"}  # one serves until Ctrl-C, the other prints a script


@pytest.mark.parametrize("name", commands())
def test_every_command_has_it(name: str) -> None:
    offered = {option for action in commands()[name]._actions for option in action.option_strings}
    assert ("--json" in offered) != (name in WITHOUT)


@pytest.fixture
def answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in an empty folder with only this machine as a device."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "cache"))
    Path("devices.yaml").write_text("devices:\n  host: {kind: host}\n")
    Path("models").mkdir()
    Path("models/variants.yaml").write_text("variants: {}\n")

    def run(*words: str, status: int = 0) -> Any:
        assert cli.main(list(words)) == status
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("words", [["--json"], ["--json", "-"]])
def test_devices(answer: Any, words: list[str]) -> None:
    assert "host" in [device["name"] for device in answer("devices", *words)]


def test_doctor_says_of_each_device_whether_it_is_fit(answer: Any) -> None:
    told = answer("doctor", "--json", "-")
    (host,) = told["devices"]
    assert host["device"] == "host"
    assert host["fit"] is True
    assert host["proof"] is None
    assert all(finding["code"] and finding["message"] for finding in host["findings"])
    assert told["unproved"] == []


def test_history_has_runs_and_trends(answer: Any) -> None:
    Path("reports").mkdir()
    assert answer("history", "--json", "-") == {
        "runs": [],
        "trends": [],
        "searches": [],
        "skipped": [],
    }


def test_init_says_where_the_files_are(answer: Any) -> None:
    told = answer("init", "mine", "--json", "-")
    assert Path(told["devices"]).is_file()
    assert Path(told["models"]).is_dir()


@pytest.mark.slow
def test_ab_says_what_was_decided_and_where_it_is_saved(answer: Any) -> None:
    tiny, other = DATA / "models/tiny_float32.tflite", DATA / "models/tiny_int8.tflite"
    told = answer("ab", str(tiny), str(other), "--quick", "--time-budget", "5s", "--json", "-")
    assert (told["a"], told["b"]) == ("tiny_float32", "tiny_int8")
    assert told["sentences"]
    assert told["undecided"] == (
        told["latency"] is None or told["latency"]["outcome"] == "inconclusive"
    )
    assert (Path(told["run"]) / "report.json").is_file()


def test_a_file_takes_the_json_and_standard_output_the_text(
    answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["cache", "--json", "c.json"]) == 0
    assert json.loads(Path("c.json").read_bytes())["entries"] == []
    assert "cache" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    {
        "no such folder": (["doctor", "--json", "no/such.json"], "cannot write 'no/such.json'"),
        "not of lab join": (["lab", "join", "--json", "x"], "--json is for lab status"),
        "two": (["history", "--json", "-", "--html", "-"], "only one format"),
    }.values(),
)
def test_a_mistake_is_told_before_anything_is_done(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_an_address_after_json_is_still_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "status", "--json", "http://nowhere"]) == 2
    assert "http://nowhere" in capsys.readouterr().err
