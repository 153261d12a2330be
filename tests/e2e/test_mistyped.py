"""A mistyped command line is one line: what is wrong, the nearest word, and how to fix it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main

CASES = {
    "command": (["bnech"], "error: unknown command 'bnech'; did you mean 'bench'"),
    "option": (
        ["bench", "scratch", "--jsn", "a.json"],
        "error: unknown option '--jsn'; did you mean '--json' or '--junit' or ",
    ),
    "option unlike all": (
        ["devices", "--zzz"],
        "error: unknown option '--zzz'; see python -m harness devices --help",
    ),
    "option before what looks like its value": (
        ["cache", "--older-than", "30d"],
        "error: unknown option '--older-than'; see python -m harness cache",
    ),
    "short option before an action": (
        ["lab", "-k", "x", "join"],
        "error: unknown option '-k'; ",
    ),
    "option with a value of its own": (
        ["setup", "--remvoe=x", "y"],
        "error: unknown option '--remvoe'; did you mean '--remove'?",
    ),
    "option of the subcommand before it": (
        ["--verbose", "bench"],
        "error: unknown option '--verbose'; did you mean ",
    ),
    "option that no subcommand has": (
        ["--zzz", "x"],
        "error: unknown option '--zzz'; see python -m",
    ),
    "command before an unknown option": (["bnech", "--zzz"], "error: unknown command 'bnech'"),
    "too many arguments": (["report", "a", "b"], "error: unexpected argument 'b'"),
    "empty argument": (["bench", "scratch", ""], "error: an argument is empty"),
    "choice": (["cache", "purge"], "unknown value 'purge'; did you mean 'prune'?"),
    "choice unlike all": (
        ["bench", "--prefer", "speed"],
        "unknown value 'speed'; choose from balanced, latency, memory, size",
    ),
    "seed below 0": (["bench", "--seed", "-1"], "'-1' is not a whole number from 0 to 4294967295"),
    "seed that is no number": (["build", "--seed", "x"], "'x' is not a whole number from 0"),
    "port": (["emulate", "--port", "99999"], "'99999' is not a port from 0 to 65535"),
    "fault": (
        ["emulate", "--no-auth", "--fault", "battery_percent=low"],
        "error: fault battery_percent: expected a whole number, but found text",
    ),
    "key that is missing": (["emulate", "--trust", "gone.pub"], "error: gone.pub cannot be read"),
    "regression without baseline": (
        ["bench", "scratch", "--untrained", "--max-regression", "5%"],
        "error: --max-regression needs a baseline; give one with --baseline",
    ),
    "split without training": (
        ["bench", "scratch", "--untrained", "--split", "70/15/15"],
        "error: --split is about labelled images, and --untrained uses none; give one of the two",
    ),
    "budget without images": (
        ["bench", "scratch", "--untrained", "--budget", "accuracy>=95%"],
        "needs labelled images; leave out --untrained, or leave it out",
    ),
    "ab that protects nothing": (
        ["ab", "scratch", "pruned", "--protect", "recall:cracked"],
        "error: --protect needs labelled images; give them with --data",
    ),
    "bench that may lose accuracy which is not measured": (
        ["bench", "scratch", "--untrained", "--max-accuracy-loss", "5%"],
        "error: --max-accuracy-loss needs labelled images; leave out --untrained, or leave it out",
    ),
    "ab that may lose accuracy which is not measured": (
        ["ab", "scratch", "pruned", "--max-accuracy-loss", "5%"],
        "error: --max-accuracy-loss needs labelled images; give them with --data",
    ),
    "ab with labels for nothing": (
        ["ab", "a.tflite", "b.tflite", "--labels", "x.txt"],
        "error: --labels needs labelled images; give them with --data",
    ),
    "launches and a time": (
        ["bench", "scratch", "--launches", "5", "--time-budget", "10s"],
        "error: --launches 5 means exactly that many, however long they take; give --launches or",
    ),
    "a time beyond all clocks": (
        ["bench", "scratch", "--time-budget", "1e300s"],
        "'1e300s' is not a time such as 60s or 10m",
    ),
    "folder for a variant": (["bench", "empty"], "error: 'empty' is a folder, not a variant"),
    "file for a variant": (["build", "x.txt"], "error: 'x.txt' is a file, not a variant"),
    "file for a folder of images": (
        ["bench", "scratch", "--data", "x.txt"],
        "x.txt is not a folder, a .csv file or an .npz file; give a folder with",
    ),
    "one side twice": (["ab", "scratch", "scratch"], "exactly two cases, but there is 1: scratch@"),
    "too many sides": (["ab", "lite0*", "scratch"], ", ...; name two different variants"),
    "folder for a run": (["report", "empty"], "error: empty is not a run folder; "),
    "file for a project": (["init", "x.txt"], "error: cannot write x.txt: File exists; "),
    "kind of device": (
        ["devices", "--project", "odd"],
        "devices.host.kind: unknown kind 'hosts'; did you mean 'host'?",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, a text file, and a project with a wrong kind of device."""
    folder = tmp_path_factory.mktemp("mistyped")
    (folder / "empty").mkdir()
    (folder / "x.txt").write_text("x")
    (folder / "odd").mkdir()
    (folder / "odd/devices.yaml").write_text("devices: {host: {kind: hosts}}\n")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_line_that_says_how_to_fix_it(
    case: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv, says = CASES[case]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(folder / "cache"))
    try:
        status: str | int | None = main(argv)
    except SystemExit as exit_:  # argparse's own
        status = exit_.code
    told = capsys.readouterr().err.strip()
    assert (status, told.count("\n")) == (2, 0), told
    assert says in told
    assert not (folder / "reports").exists()
