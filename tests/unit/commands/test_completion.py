"""Completion: the script does what a user of the shell sees, with the names that there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.commands import completion
from harness.core.errors import UsageError
from tests.paths import ROOT
from tests.unit.test_docs import commands


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run in it, where `mobile-bench` is this checkout."""
    program = tmp_path / "bin/mobile-bench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "reports/20260101-run").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


BASH = """
source ./script
function=$(complete -p mobile-bench | sed 's/.*-F \\([^ ]*\\).*/\\1/')
while read -r -a COMP_WORDS; do
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMPREPLY=()
  "$function" mobile-bench "${COMP_WORDS[COMP_CWORD]}"
  echo "${COMPREPLY[*]}"
done
"""
TYPED = {
    "mobile-bench ben": "bench",
    "mobile-bench bench mobilenet-g": "mobilenet-gray-int8",
    "mobile-bench bench scratch --device h": "host",
    "mobile-bench bench --device host,em": "host,emulated",
    "mobile-bench bench --pref": "--prefer",
    "mobile-bench bench --prefer s": "size",
    "mobile-bench report 2026": "20260101-run",
    "mobile-bench cache pr": "prune",
}


@pytest.mark.slow
def test_bash_completes_commands_options_and_names(shell: Path) -> None:
    (shell / "script").write_text(completion.script("bash", cli.parser()))
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH],
        input="\n".join(TYPED) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(zip(TYPED, done.stdout.splitlines(), strict=True)) == TYPED


@pytest.mark.slow
@pytest.mark.needs("fish")
def test_fish_completes_commands_options_and_names(shell: Path) -> None:
    (shell / "script").write_text(completion.script("fish", cli.parser()))
    typed = [line for line in TYPED if "," not in line]
    asked = "; ".join(f"echo == ; complete -C '{line}'" for line in typed)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source ./script; {asked}"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.split("==\n")[1:]
    for line, offered in zip(typed, told, strict=True):
        assert TYPED[line] in [x.partition("\t")[0] for x in offered.splitlines()], line


@pytest.mark.needs("zsh")
def test_zsh_reads_the_script(tmp_path: Path) -> None:
    file = tmp_path / "_mobile-bench"
    file.write_text(completion.script("zsh", cli.parser()))
    assert file.read_text().startswith("#compdef mobile-bench")
    subprocess.run(["zsh", "-n", file], check=True)


@pytest.mark.parametrize("what", completion.SHELLS)
def test_every_command_is_in_the_script(what: str) -> None:
    script = completion.script(what, cli.parser())
    for name in commands():
        assert name in script


def test_names_are_those_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devices.yaml").write_text("devices:\n  mine: {kind: host}\n")
    assert cli.main(["completion", "devices"]) == 0
    assert capsys.readouterr().out == "mine\nall\n"
    assert cli.main(["completion", "runs"]) == 0
    assert capsys.readouterr().out == "latest\n"


def test_a_project_that_cannot_be_read_offers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devices.yaml").write_text("devices: [")
    assert cli.main(["completion", "devices"]) == 0
    assert capsys.readouterr() == ("", "")


def test_without_shtab_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(UsageError, match=r"mobile-bench-harness\[completion\]"):
        completion.script("bash", cli.parser())
