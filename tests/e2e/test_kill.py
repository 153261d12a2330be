"""kill -9 at any moment loses no saved launch, measures none twice, and leaves a run to go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.results import store
from tests.paths import ROOT

pytestmark = pytest.mark.long

TINY = ROOT / "tests/data/models/tiny_float32.tflite"
TINY_INT8 = ROOT / "tests/data/models/tiny_int8.tflite"
KILLS = 20
LAUNCHES = 16


def harness(cwd: Path, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "bench", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def saved(run: Path) -> list[bytes]:
    """The whole lines of the journal: what the harness may say is saved."""
    journal = run / store.JOURNAL
    return journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []


def launches_in(lines: list[bytes]) -> int:
    return sum(b'"launch"' in line for line in lines)


def rendered(cwd: Path, run: Path) -> str:
    """What a user sees of the run as it is."""
    command = [sys.executable, "-m", "harness", "report", run.name, "--html", "r.html"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tiny_float32" in done.stdout
    assert "unfinished" in (cwd / "r.html").read_text("utf-8")
    return done.stdout


def test_killed_twenty_times_at_random_moments_the_run_is_still_whole(tmp_path: Path) -> None:
    rng = random.Random(7)
    first = ("--launches", str(LAUNCHES), "--iterations", "3", str(TINY), str(TINY_INT8))
    process = harness(tmp_path, *first)
    while not list(tmp_path.glob("reports/*/journal.jsonl")):
        assert process.poll() is None
        time.sleep(0.01)
    (run,) = (tmp_path / "reports").glob("[0-9]*")
    before: list[bytes] = []
    shown = ""
    for number in range(KILLS):
        if number % 4 == 0:  # on a slow machine, too, some kills come after a launch
            at_first = launches_in(saved(run))
            while launches_in(saved(run)) == at_first and process.poll() is None:
                time.sleep(0.005)
        time.sleep(rng.uniform(0.05, 1.0))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
        assert saved(run)[: len(before)] == before
        before = saved(run)
        if not shown and launches_in(before):
            shown = rendered(tmp_path, run)
        process = harness(tmp_path, "--resume", run.name)
    assert launches_in(before), "no kill came after a launch"
    assert "unfinished" in shown
    assert "the run was cut off: this report is of the" in shown
    assert process.wait() == 0
    assert saved(run)[: len(before)] == before

    launches = store.read_journal(run / store.JOURNAL).launches
    keys = [(x.case, x.index) for x in launches]
    assert len(keys) == len(set(keys)) == 2 * LAUNCHES
    report = store.read_report(run)
    assert sorted(x.order for c in report.cases for x in c.launches) == list(range(2 * LAUNCHES))
    assert report.stopped is not None
    assert report.stopped.reason == "launches"
    assert all(case.metrics["latency"].n == LAUNCHES for case in report.cases)
