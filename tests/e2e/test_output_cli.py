"""Reports as the command line gives them: every format, every option, and what is refused before
anything is built or measured."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from harness import cli
from harness.commands import _output
from harness.core.types import Report
from harness.results import store
from tests import reports, schema
from tests.lazily import Lazily
from tests.paths import ROOT

Lazily("pyarrow")
Lazily("matplotlib")

TINY = ROOT / "tests/data/models/tiny_float32.tflite"
BEFORE, NOW = "20261101-101500-aaaa", "20261102-101500-bbbb"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: in the second one variant is slower."""
    folder = tmp_path_factory.mktemp("runs")
    slower = dict(reports.VARIANTS)
    slower["pruned"] = slower["pruned"]._replace(latency=9_000_000)
    save(folder, reports.make(seed=1, run_id=BEFORE))
    told = reports.with_verdict()
    now = reports.make(slower, run_id=NOW)
    save(folder, replace(now, verdict=told.verdict, findings=told.findings))
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of two variants, whose charts are drawn in half the time."""
    folder = tmp_path_factory.mktemp("few")
    shapes = {name: reports.VARIANTS[name] for name in ("pruned", "mobilenet-gray-int8")}
    save(folder, reports.make(shapes, seed=1, run_id=BEFORE))
    shapes["pruned"] = shapes["pruned"]._replace(latency=9_000_000)
    save(folder, reports.make(shapes, run_id=NOW))
    return folder


def save(out: Path, report: Report) -> None:
    folder = out / report.run_id
    folder.mkdir()
    (folder / store.HEADER).write_bytes(store.encode(report))
    store.write_report(folder, report)


def main(*args: object) -> int:
    return cli.main([str(a) for a in args])


COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "report": (("report", NOW), 0),
    "compare": (("compare", BEFORE, NOW), 1),  # the gate says no, and renders all the same
}
# What a reader of the format looks for first.
SIGNS = {
    "as_baseline": b'{\n "schema_version": 1,',
    "bencher": b'{\n "',
    "card": b"---\n# license: yours to fill in",
    "csv": b"run_id,variant,device,",
    "csv_wide": b"run_id,variant,device,",
    "gha_benchmark": b'[\n {\n  "name"',
    "html": b"<!doctype html>",
    "json": b'{\n "schema_version": 1,',
    "junit": b"<?xml version",
    "markdown": b"### Benchmark `20261102-101500-bbbb`",
    "parquet": b"PAR1",
    "trace": b'{"traceEvents":[{"ph":"M","name":"process_name"',
}


WITHOUT_COMPARISON = ("csv", "as_baseline", "bencher", "gha_benchmark", "trace", "card")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", _output.formats())
def test_every_format_into_a_file_and_to_standard_output(
    command: str,
    name: str,
    out: Path,
    few: Path,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    words, status = COMMANDS[command]
    out = few if name == "html" else out
    option, file = f"--{name.replace('_', '-')}", tmp_path / "report"
    assert main(*words, "--out", out, option, file) == status
    table = capfdbinary.readouterr().out.decode()
    assert "mobilenet-gray-int8" in table
    data = file.read_bytes()
    assert data.lower().startswith(SIGNS[name].lower())
    assert main(*words, "--out", out, option, "-") == status
    assert capfdbinary.readouterr().out == data, "alone on standard output, and the same"
    if name in ("json", "as_baseline"):
        schema.check(data)
    if command == "compare" and name not in WITHOUT_COMPARISON:
        assert b"regression" in data


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_the_table(
    command: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, status = COMMANDS[command]
    assert main(*words, "--out", out, "--wide") == status
    head = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("variant"))
    assert "first inference" in head
    assert main(*words, "--out", out, "--columns", "size,latency", "--sort", "size") == status
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, x in enumerate(lines) if x.startswith("variant"))
    assert lines[at].split() == ["variant", "size", "latency"]
    names = [re.sub(r"^[★☆◇] ", "", x).split()[0] for x in lines[at + 3 : lines.index("", at)]]
    assert names == [
        "mobilenet-gray-int8", "mobilenet-int8", "scratch", "pruned", "vgg16",
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_chart_as_svg_and_png(command: str, few: Path, tmp_path: Path) -> None:
    words, status = COMMANDS[command]
    charts = tmp_path / "not/there/yet"
    asked = ("--plots", charts, "--plots-format", "png,svg")
    assert main(*words, "--out", few, *asked) == status
    made = {p.name: p.read_bytes() for p in charts.iterdir()}
    assert {"pareto.svg", "pareto.png", "memory.svg", "memory.png"} <= made.keys()
    assert ("baseline.png" in made) == (command == "compare")
    for name, data in made.items():
        assert data.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml"), name


def test_a_column_that_this_report_lacks_is_told_and_no_error(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--columns", "size,instructions", "--sort", "latency_start")
    assert main("report", NOW, "--out", out, *options) == 0
    text = capsys.readouterr().out
    assert "instructions: no case of this report has it" in text
    assert "first minute: no case of this report has it" in text


def test_a_pipe_is_written_into_and_not_replaced(out: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as reader:
        assert main("report", NOW, "--out", out, "--json", fifo) == 0
        assert reader.stdout is not None
        assert reader.stdout.read().startswith(SIGNS["json"])
    assert fifo.is_fifo()


# --- what is refused, and when ---------------------------------------------------------------

WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "sort": (("--sort", "latancy"), "unknown column 'latancy'; did you mean 'latency'"),
    "columns": (("--columns", "size,acuracy"), "did you mean 'accuracy'"),
    "empty column": (("--columns", "size,,latency"), "has an empty item"),
    "folder of a file": (("--json", "gone/r.json"), "name a file in a folder that exists"),
    "a folder for a file": (("--json", "."), "name a file in a folder that exists"),
    "two on standard output": (("--json", "-", "--csv", "-"), "only one format"),
    "two in one file": (("--json", "r", "--csv", "r"), "two formats would be written to r"),
    "plots in a file": (("--plots", "file"), "is not a folder"),
    "plots below a file": (("--plots", "file/charts"), "another folder with --plots"),
    "format without plots": (("--plots-format", "png"), "name a folder with --plots"),
    "unknown format": (("--plots", "x", "--plots-format", "pgn"), "did you mean 'png'"),
}
EVERY = {
    "bench": ("bench", str(TINY)),
    "report": ("report", NOW),
    "compare": ("compare", BEFORE, NOW),
}


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_option_is_found_before_anything_is_done(
    command: str,
    case: str,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    options, says = WRONG[case]
    where = tmp_path / "reports" if command == "bench" else out
    try:
        status = main(*EVERY[command], "--out", where, *options)
    except SystemExit as ended:  # argparse
        assert isinstance(ended.code, int)
        status = ended.code
    told = capsys.readouterr()
    assert status == 2
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("options", "package"),
    [
        (("--html", "r.html"), "jinja2"),
        (("--html", "r.html"), "matplotlib"),
        (("--parquet", "r.parquet"), "pyarrow"),
        (("--plots", "charts"), "matplotlib"),
    ],
)
def test_a_missing_package_is_found_before_anything_is_done(
    options: tuple[str, ...],
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, *more: Any) -> Any:
        return None if name == package else real(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.chdir(tmp_path)
    assert main("bench", TINY, *options) == 2
    assert f"needs the package {package}; pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- a terminal, and none --------------------------------------------------------------------


def piped(out: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words, "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


@pytest.mark.parametrize("words", [("report", NOW), ("history",), ("history", "pruned")])
def test_what_goes_into_a_pipe_depends_on_nothing(words: tuple[str, ...], out: Path) -> None:
    plain = piped(out, *words)
    assert "\x1b" not in plain
    assert 80 < max(map(len, plain.splitlines())) <= 120
    loud = {"COLUMNS": "60", "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    assert piped(out, *words, **loud) == plain


def test_a_pipe_that_takes_only_ascii_gets_ascii(out: Path) -> None:
    text = piped(out, "report", NOW, PYTHONIOENCODING="ascii")
    assert "* mobilenet-gray-int8" in text


def on_a_terminal(out: Path, **environment: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "report", NOW, "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color",
             "COLUMNS": "100", **environment},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    data = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        data += chunk
    os.close(ours)
    assert process.wait(60) == 0
    return data.decode()


def test_a_terminal_gets_colours_and_its_own_width_unless_asked_not_to(out: Path) -> None:
    colours = r"\x1b\[[0-9;]*?(?:3[0-7]|9[0-7]|38)[;m]"
    loud = on_a_terminal(out)
    assert re.search(colours, loud)
    quiet = on_a_terminal(out, NO_COLOR="1")
    assert not re.search(colours, quiet)
    words = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in (loud, quiet)]
    assert words[0] == words[1]
    assert max(len(line.rstrip()) for line in words[0].splitlines()) <= 100
