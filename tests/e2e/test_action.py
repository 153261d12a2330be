"""The composite action: its scripts parse, its inputs are used, and what measures does its work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_bench_cli import TINY
from tests.paths import ROOT

TEXT = (ROOT / "action.yml").read_text("utf-8")
ACTION: Any = yaml.safe_load(TEXT)
SCRIPTS = {s["name"]: s for s in ACTION["runs"]["steps"] if "run" in s}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_parses_and_holds_no_expression(name: str) -> None:
    script = SCRIPTS[name]["run"]
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "${{" not in script, "an input in a script is run as shell code"


def test_every_input_is_used_and_no_other() -> None:
    assert set(re.findall(r"inputs\.([a-z-]+)", TEXT)) == set(ACTION["inputs"])


def test_every_variable_of_a_step_is_used() -> None:
    for step in SCRIPTS.values():
        for variable in step["env"]:
            if variable != "GH_TOKEN":  # for `gh` itself
                assert re.search(rf"\$\{{?{variable}\b", step["run"]), variable


def scripts_of_the_checkout(folder: Path) -> Path:
    """A folder with what the action's step to install would have put on the path."""
    folder.mkdir()
    for name, words in (("mobile-bench", "-m harness"), ("python", "")):
        (folder / name).write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {words} "$@"\n'
        )
        (folder / name).chmod(0o755)
    return folder


def measured(
    tmp_path: Path, scripts: Path | None = None, **inputs: str
) -> tuple[int, dict[str, str], str]:
    """Exit status, outputs and step summary of the step that measures, run as GitHub runs it."""
    step, folder = SCRIPTS["Measure"], scripts or scripts_of_the_checkout(tmp_path / "bin")
    values = {
        v: inputs.get(i, str(ACTION["inputs"][i].get("default", "")))
        for v, e in step["env"].items()
        for i in re.findall(r"inputs\.([a-z-]+)", e)
    }
    files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary"}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            **values,
            **{k: str(v) for k, v in files.items()},
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    told = dict(x.split("=", 1) for x in files["GITHUB_OUTPUT"].read_text().splitlines())
    summary = files["GITHUB_STEP_SUMMARY"]
    return done.returncode, told, summary.read_text() if summary.exists() else ""


GH = """#!{python}
import json, pathlib, sys
words, store = sys.argv[1:], pathlib.Path("comments.json")
comments = json.loads(store.read_text()) if store.exists() else {{"1": "hello"}}
method = words[words.index("--method") + 1] if "--method" in words else "GET"
if method == "GET":
    print(json.dumps([[{{"id": int(i), "body": body}} for i, body in comments.items()]]))
else:
    path = next(w for w in words if w.startswith("repos/"))
    body = pathlib.Path(words[-1].removeprefix("body=@")).read_text()
    comments[path.split("/")[-1] if method == "PATCH" else str(len(comments) + 1)] = body
    store.write_text(json.dumps(comments))
"""


def commented(tmp_path: Path, text: str, job: str = "bench") -> list[str]:
    """All comments of the pull request after the step has run, with a `gh` that keeps them."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "gh").write_text(GH.format(python=sys.executable))
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    (tmp_path / "benchmark.md").write_text(text)
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", SCRIPTS["Comment"]["run"]],
        cwd=tmp_path,
        env={
            **os.environ,
            **{"REPOSITORY": "me/mine", "NUMBER": "7", "JOB": job, "GH_TOKEN": "x"},
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        },
        check=True,
    )
    return list(json.loads((tmp_path / "comments.json").read_text()).values())


def test_the_comment_is_updated_and_not_repeated(tmp_path: Path) -> None:
    assert commented(tmp_path, "first") == ["hello", "<!-- mobile-bench bench -->\nfirst"]
    assert commented(tmp_path, "second") == ["hello", "<!-- mobile-bench bench -->\nsecond"]
    other = commented(tmp_path, "third", job="other")
    assert other[1:] == [
        "<!-- mobile-bench bench -->\nsecond",
        "<!-- mobile-bench other -->\nthird",
    ]


def test_a_comment_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "benchmark.md").write_text("text")
    (tmp_path / "bin/gh").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/gh").chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", SCRIPTS["Comment"]["run"]],
        cwd=tmp_path,
        env={
            **os.environ,
            **{"REPOSITORY": "me/mine", "NUMBER": "7", "JOB": "bench", "GH_TOKEN": "x"},
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert "::warning::the comment could not be written" in done.stdout


def test_a_budget_that_is_not_kept_fails_the_step_and_is_told(tmp_path: Path) -> None:
    models = f"{TINY} --quick"  # options may stand among the models
    status, told, summary = measured(tmp_path, models=models, budget="size<=1kB", extras="")
    assert status == 1
    assert told["exit-status"] == "1"
    assert told["verdict"] in {"recommended", "undecided", "refused", "none"}
    assert "tiny_float32" in summary


def test_an_input_is_not_run_as_code(tmp_path: Path) -> None:
    status, told, _ = measured(tmp_path, models="$(touch ran) `touch ran`", extras="")
    assert status == 2
    assert told == {"verdict": "", "exit-status": "2"}
    assert not (tmp_path / "ran").exists()
