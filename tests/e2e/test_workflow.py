"""The workflow that users copy, step by step as the CI runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import schema
from tests.paths import ROOT

pytestmark = pytest.mark.long

WORKFLOW = ROOT / ".github/workflows/benchmark.yml"
MODELS = ROOT / "tests/data/models"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with two commits: the models, and a change."""
    root = tmp_path / "project"
    models = root / "tests/data/models"
    models.mkdir(parents=True)
    for name in ("tiny_float32.tflite", "tiny_int8.tflite"):
        shutil.copy(MODELS / name, models)
    git(root, "init", "--quiet")
    commit(root, "models")
    return root


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)


def run_steps(root: Path, summary: Path, **variables: str) -> int:
    """The steps with commands but the installing one; the status of the first that fails. Those
    that always run do so. `variables` are other values than the workflow's."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    status = 0
    for step in workflow["jobs"]["benchmark"]["steps"]:
        if "run" not in step or step["name"] == "Install":
            continue
        if status and step.get("if") != "always()":
            continue
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=root,
            env={
                **os.environ,
                **{name: str(value) for name, value in workflow["env"].items()},
                # The fewest launches that give an interval, and short ones.
                "TIMING": "--launches 5 --iterations 5",
                **variables,
                "PYTHONPATH": str(ROOT),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        status = status or done.returncode
    return status


def test_a_change_that_changes_nothing_passes(repository: Path, tmp_path: Path) -> None:
    commit(repository, "nothing")
    assert run_steps(repository, tmp_path / "summary.md") == 0
    schema.check((repository / "benchmark.json").read_bytes())
    report = json.loads((repository / "benchmark.json").read_text())
    assert {case["device"] for case in report["cases"]} == {"host", "emulated"}
    assert report["comparison"] is not None
    summary = (tmp_path / "summary.md").read_text()
    assert "(emulated)" in summary
    assert "tiny_float32" in summary
    assert (repository / "benchmark.html").stat().st_size > 1000
    assert (repository / "junit.xml").read_text().startswith("<?xml")


def test_the_first_commit_of_a_repository_passes(repository: Path, tmp_path: Path) -> None:
    assert run_steps(repository, tmp_path / "summary.md", DEVICES="emulated") == 0
    assert json.loads((repository / "benchmark.json").read_text())["comparison"] is not None


def test_a_model_that_grew_is_refused_and_the_summary_says_why(
    repository: Path, tmp_path: Path
) -> None:
    model = repository / "tests/data/models/tiny_float32.tflite"
    model.write_bytes(model.read_bytes() + bytes(4000))
    commit(repository, "grow")
    assert run_steps(repository, tmp_path / "summary.md", DEVICES="emulated") == 1
    assert "size" in (tmp_path / "summary.md").read_text()
