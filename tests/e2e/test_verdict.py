"""Budgets and the verdict as a user meets them: exit status, what is printed, what is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from harness.core.types import Report
from harness.measure import session
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.results import store
from harness.system.progress import Narrator
from tests.answers import Pictures
from tests.e2e.test_bench_cli import TINY, TINY_INT8, harness, only_run

LABELS = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0] * 3


def flat(text: str) -> str:
    """What is read, without the frame and where the lines end."""
    return " ".join(text.replace("│", " ").split())


def test_a_budget_that_is_kept_is_a_green_run_that_says_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    done = harness("bench", TINY, TINY_INT8, "--quick", "--budget", "size<=10kB", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = flat(done.stdout)
    assert "size<=10kB: 2 met" in said
    assert "no recommendation: tiny_float32 and tiny_int8 keep every budget" in said
    again = harness("report", "latest", cwd=tmp_path)
    assert flat(again.stdout) == said
    saved = json.loads((only_run(tmp_path) / "report.json").read_text())
    assert saved["verdict"]["outcome"] == "met"
    assert saved["plan"]["budget"] == "size<=10kB"


def test_a_budget_that_nothing_keeps_fails_and_says_what_would_do(tmp_path: Path) -> None:
    done = harness("bench", TINY, TINY_INT8, "--quick", "--budget", "size<=3kB", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert (
        "no variant keeps every budget; nearest is tiny_int8, which misses size<=3kB with 3.31 kB; "
        "relax to size<=3.32kB" in flat(done.stdout)
    )


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("accuracy>=0.9", "error: accuracy>=0.9 needs labelled images"),
        ("size<=3mb", "write 3MB"),
        ("sise<=3MB", "did you mean 'size'"),
    ],
)
def test_a_budget_that_cannot_be_judged_is_refused_before_anything_is_measured(
    tmp_path: Path, budget: str, says: str
) -> None:
    done = harness("bench", TINY, "--budget", budget, cwd=tmp_path)
    assert done.returncode == 2
    assert says.removeprefix("error: ") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "reports").exists()


def test_undecided_fails_only_when_asked_to_be_strict(tmp_path: Path) -> None:
    three = ("bench", TINY, "--launches", "3", "--iterations", "3", "--budget", "latency<=10s")
    assert harness(*three, cwd=tmp_path).returncode == 0
    assert harness(*three, "--strict", cwd=tmp_path).returncode == 4


def test_labelled_images_give_accuracy_and_what_may_be_lost(tmp_path: Path) -> None:
    """Everything but the training: real files, real workers, a real report."""
    request = Request(
        what=(str(TINY), str(TINY_INT8)), launches=5, iterations=20, out=tmp_path / "reports"
    )
    job = resolve(request._replace(data="demo"))._replace(dataset=cast(Any, Pictures(LABELS)))
    with Narrator() as narrator:
        report, folder = session.bench(job, narrator)
    assert [e.n for e in report.evaluations] == [30, 30]
    for case in report.cases:
        accuracy = case.metrics["accuracy"]
        assert accuracy.point is not None, accuracy.absent_because
        assert accuracy.ci_low is not None
        assert accuracy.n == 30
    assert report.verdict is not None
    # The two answer alike; thirty images cannot show that either loses less than two points.
    assert (report.verdict.recommended, report.verdict.decision) == (None, "undecided")
    assert report.verdict.candidate in ("tiny_float32", "tiny_int8")
    assert report.verdict.reason.startswith(
        f"{report.verdict.candidate}: may lose up to 9.9 points"
    )
    assert {round(loss.bound, 4) for loss in report.verdict.losses.values()} == {0.0982}
    saved = store.read_report(folder)
    assert saved == report
    # What the artifacts answered was saved before measuring began, so that --resume has it.
    header = msgspec.json.decode((folder / store.HEADER).read_bytes(), type=Report)
    assert header.evaluations == report.evaluations
