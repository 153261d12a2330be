"""--verbose: what caused an error and where the child's log is; nothing else changes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import command_line
from tests.paths import DATA


def harness(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return command_line.run(*arguments, cwd=cwd)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A host whose launches have no time."""
    text = "devices:\n  host: {kind: host, runtime: litert, launch_timeout_s: 0.001}\n"
    (tmp_path / "devices.yaml").write_text(text)
    return tmp_path


def test_the_cause_of_an_error(project: Path) -> None:
    (project / "devices.yaml").write_text("devices: {host: [}\n")
    plain, verbose = (harness("devices", *more, cwd=project) for more in ([], ["--verbose"]))
    assert (plain.returncode, plain.stdout) == (verbose.returncode, verbose.stdout) == (2, "")
    first, *more = verbose.stderr.splitlines()
    assert plain.stderr == f"{first}\n"
    assert re.fullmatch(r"raised in harness/project/\w+\.py, line \d+", more[0])
    assert more[1].startswith("caused by ParserError: while parsing")


def test_what_merely_came_before_is_not_a_cause(tmp_path: Path) -> None:
    """The file is looked for in the cache first, and is not there."""
    (tmp_path / "bad.tflite").write_text("not a model")
    told = harness("bench", "bad.tflite", "--untrained", "--verbose", cwd=tmp_path).stderr
    assert told.startswith("error: bad.tflite is not a TFLite model")
    assert "caused by" not in told


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("host, runtime: tflite-runtime, python: {tflite-runtime: gone}", "doctor"),
        ("arm64-emulated", "doctor"),
        ("arm64-emulated", "devices"),
    ],
)
def test_an_error_that_ends_nothing_is_told_too(
    kind: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "empty"))
    (tmp_path / "devices.yaml").write_text(f"devices: {{it: {{kind: {kind}}}}}\n")
    arguments = [command, "--device", "it"] if command == "doctor" else [command]
    told = harness(*arguments, "--verbose", cwd=tmp_path).stderr
    assert "raised in harness/devices/" in told


def test_the_log_of_a_child_that_failed(project: Path) -> None:
    arguments = ("bench", str(DATA / "tiny.tflite"), "--quick", "--launches", "1")
    plain, verbose = (harness(*arguments, *more, cwd=project) for more in ([], ["--verbose"]))
    assert plain.returncode == verbose.returncode == 3
    assert "log: " not in plain.stderr
    (log,) = re.findall(r"^log: (.*)$", verbose.stderr, re.MULTILINE)
    assert Path(project, log).is_file()
    assert "raised in harness/devices/host/worker_process.py" in verbose.stderr


def test_without_an_error_nothing_changes(tmp_path: Path) -> None:
    plain, verbose = (
        harness("history", "--out", ".", *more, cwd=tmp_path) for more in ([], ["--verbose"])
    )
    assert (plain.stdout, plain.stderr) == (verbose.stdout, verbose.stderr)
