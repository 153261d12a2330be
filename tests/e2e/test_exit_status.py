"""The exit status is the answer, whatever becomes of the output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

import harness
from harness import cli
from harness.core.errors import UsageError
from harness.results import store
from tests import reports

HARNESS = [sys.executable, "-m", "harness"]
BEFORE, NOW = "20261101-101500-aaaa", "20261102-101500-bbbb"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one variant in a folder whose name has a blank; the second is slower."""
    folder = tmp_path_factory.mktemp("my runs")
    usual = {"pruned": reports.VARIANTS["pruned"]}
    slower = {"pruned": usual["pruned"]._replace(latency=9_000_000)}
    for report in (
        reports.make(usual, seed=1, run_id=BEFORE),
        replace(reports.make(slower, run_id=NOW), command=("python", "-m", "harness", "bench")),
    ):
        (folder / report.run_id).mkdir()
        (folder / report.run_id / store.HEADER).write_bytes(store.encode(report))
        store.write_report(folder / report.run_id, report)
    return folder


# What is asked, and its exit status when everything is read.
ASKED: dict[str, tuple[list[str], int]] = {
    "report": (["report", NOW], 0),
    "csv": (["report", NOW, "--csv", "-"], 0),
    "gate": (["compare", BEFORE, NOW], 1),
    "gate csv": (["compare", BEFORE, NOW, "--csv", "-"], 1),
    "usage": (["report", NOW, "--sort", "nothing"], 2),
    "history": (["history"], 0),
    "history page": (["history", "--html", "-"], 0),
    "help": (["--help"], 0),
}


def words(name: str, out: Path) -> list[str]:
    asked = ASKED[name][0]
    return [*HARNESS, *asked, *(["--out", str(out)] if name != "help" else [])]


@pytest.mark.parametrize("name", ASKED)
def test_a_reader_that_goes_away_changes_nothing(name: str, out: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words(name, out), stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == ASKED[name][1]
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr


@pytest.mark.parametrize("name", ASKED)
def test_a_full_disk_behind_standard_output_is_told_and_changes_nothing(
    name: str, out: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words(name, out), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ASKED[name][1]
    if name != "usage":  # which prints nothing there
        assert done.stderr.decode().endswith(
            "error: cannot write standard output: No space left on device\n"
        )
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    "closed", [">&-", "2>&-", ">&- 2>&-", "2>&1 | true; exit ${PIPESTATUS[0]}"]
)
def test_streams_that_are_closed_change_nothing(name: str, closed: str, out: Path) -> None:
    line = f"{shlex.join(words(name, out))} {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == ASKED[name][1], done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_written_does_not_hide_the_gate(out: Path, tmp_path: Path) -> None:
    """... nor keep the other files from being written; without a gate it is an error by itself."""
    kept = tmp_path / "kept.json"
    line = ["--csv", "/dev/full", "--json", str(kept), "--out", str(out)]
    gate = subprocess.run(
        [*HARNESS, "compare", BEFORE, NOW, *line], capture_output=True, text=True, check=False
    )
    assert gate.returncode == 1
    assert "error: cannot write /dev/full: No space left on device" in gate.stderr
    assert "regression" in gate.stdout
    assert kept.read_bytes()
    alone = subprocess.run(
        [*HARNESS, "report", NOW, *line], capture_output=True, text=True, check=False
    )
    assert alone.returncode == 2
    assert f"run {NOW}" in alone.stdout


@pytest.mark.parametrize(
    "asked",
    [
        ["report", ""],
        ["compare", "", "latest"],
        ["compare", "latest", ""],
        ["bench", "--baseline", ""],
        ["bench", "--resume", ""],
        ["report", "latest", "--json", ""],
        ["report", "latest", "--plots", ""],
        ["history", "--html", ""],
        ["history", "--out", ""],
        ["bench", "--data", ""],
        ["bench", "--project="],
        ["bench", ""],
    ],
)
def test_an_empty_name_is_not_the_current_folder(
    asked: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(out / NOW)  # a run folder: the worst place to take for the answer
    assert cli.main([*asked, "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert told.err.startswith("error: ")
    assert "an argument is empty" in told.err


def test_an_empty_run_is_not_the_current_folder_in_python_either(out: Path) -> None:
    with pytest.raises(UsageError, match="no run is named"):
        harness.load("", out)


def test_a_command_to_be_pasted_survives_a_blank(out: Path) -> None:
    """The unfinished run says how to go on; the words of that command are the shell's."""
    unfinished = out / "20261103-101500-cccc"
    unfinished.mkdir()
    (unfinished / store.HEADER).write_bytes(store.encode(reports.make(run_id=unfinished.name)))
    (unfinished / store.JOURNAL).touch()
    try:
        done = subprocess.run(
            [*HARNESS, "report", str(unfinished), "--wide"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        for file in unfinished.iterdir():
            file.unlink()
        unfinished.rmdir()
    line = " ".join(done.stdout.split())
    pasted = "python" + line.partition("go on with python")[2].partition("cccc")[0] + "cccc'"
    assert shlex.split(pasted) == [
        "python", "-m", "harness", "bench", "--resume", str(unfinished),
    ]  # fmt: skip
