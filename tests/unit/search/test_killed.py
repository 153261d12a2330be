"""A search that is killed again and again has every finished trial once in the end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.searches import study

TRIALS, KILLS = 120, 10

SEARCHING = """
import contextlib, json, sys, time
from pathlib import Path
from harness.search import loop
from harness.search.loop import Loop, Stop
from tests.searches import Instant, study

folder = Path(sys.argv[1])

class Slow(Instant):
    def __call__(self, asked, study, stop):
        log = folder / "tried.jsonl"
        with log.open("a") as file:
            file.write(json.dumps([asked.number, asked.params]) + "\\n")
        time.sleep(0.03)
        return super().__call__(asked, study, stop)

print("ready", flush=True)
with contextlib.closing(study(folder)) as of:
    told = lambda trial: print("told", trial.number, flush=True)
    loop.run(Loop(of, Slow(), trials=int(sys.argv[2]), stop=Stop(), told=told), 2)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SEARCHING, str(folder), str(TRIALS)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.long
def test_ten_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    rng, told, kills = random.Random(5), [], 0
    while True:
        child = start(tmp_path)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if kills < KILLS:
            # Somewhere in the life of its next one to three trials: the first has begun.
            before = len(_tried(tmp_path))
            while child.poll() is None and len(_tried(tmp_path)) <= before:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.12))
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        said = child.stdout.read().decode()
        child.stdout.close()
        told += [int(line.split()[1]) for line in said.splitlines() if line.startswith("told")]
        if child.wait() == 0:
            break
        assert child.returncode == -signal.SIGKILL

    assert kills == KILLS
    with contextlib.closing(study(tmp_path)) as of:
        trials = of.trials()
    assert [t.number for t in trials] == list(range(1, TRIALS + 1))
    assert {t.state for t in trials} == {"done"}
    assert len({json.dumps(t.params, sort_keys=True) for t in trials}) == TRIALS
    assert len(told) == len(set(told))  # what had been told was never tried again
    params = {t.number: t.params for t in trials}
    tried = [json.loads(line) for line in _tried(tmp_path)]
    assert len(tried) > TRIALS  # some were under way when it was killed
    for number, tried_with in tried:
        assert params[number] == tried_with  # what was under way went on as what it was


def _tried(folder: Path) -> list[str]:
    path = folder / "tried.jsonl"
    return path.read_text().splitlines() if path.exists() else []
