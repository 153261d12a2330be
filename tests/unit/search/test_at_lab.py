"""Trials at the hosts of a lab: Dask on loopback, with trials of fixed length."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from harness.engine import dask
from harness.search import at_lab, loop
from harness.search.loop import Loop, Stop
from tests import fixed_trial
from tests.labs import lab
from tests.paths import ROOT
from tests.searches import Instant, study

TAKES_S = 0.2


@pytest.fixture(autouse=True)
def _tasks_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


def slot(trials: Loop, takes_s: float = TAKES_S) -> at_lab.Slot:
    return at_lab.Slot(
        trials,
        "search-1",
        arguments=fixed_trial.arguments(takes_s),
        paths={},
        bring=lambda address, made: None,
        function="tests.fixed_trial:carry_out",
    )


def test_every_trial_is_done_once_and_the_hosts_share_them(tmp_path: Path) -> None:
    with lab() as made, contextlib.closing(study(tmp_path)) as of:
        for name in ("one", "two"):
            made.join(name, cores=2)
        engine = dask.connect(made.address)
        with contextlib.closing(engine):
            assert at_lab.slots(engine.where()) == 2
            trials = Loop(of, Instant(), trials=4, stop=Stop())
            assert at_lab.run(trials, engine, [slot(trials), slot(trials)]) == "trials"
        assert [(t.number, t.state) for t in of.trials()] == [(n, "done") for n in range(1, 5)]


def test_a_host_that_is_lost_costs_a_try_and_not_the_trial(tmp_path: Path) -> None:
    with lab() as made, contextlib.closing(study(tmp_path)) as of:
        made.join("one", cores=2)
        engine = dask.connect(made.address)
        trials = Loop(of, Instant(), trials=2, stop=Stop())

        def lose() -> None:
            while not of.trials():
                time.sleep(0.05)
            time.sleep(0.5)
            made.do(made.workers["one"].close())
            made.join("two", cores=2)

        losing = threading.Thread(target=lose)
        losing.start()
        with contextlib.closing(engine):
            assert at_lab.run(trials, engine, [slot(trials, takes_s=3)]) == "trials"
        losing.join()
        assert [(t.number, t.state) for t in of.trials()] == [(1, "done"), (2, "done")]


def test_without_hosts_it_says_so_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_lab, "PATIENCE_S", 0.5)
    with lab() as made, contextlib.closing(study(tmp_path)) as of:
        engine = dask.connect(made.address)
        trials = Loop(of, Instant(), trials=2, stop=Stop())
        with contextlib.closing(engine), pytest.raises(Exception, match="no host of the lab"):
            at_lab.run(trials, engine, [slot(trials)])
        assert [t.state for t in of.trials()] == ["unfinished"]
        done = Loop(of, Instant(), trials=1, stop=Stop())
        assert loop.run(done, 1) == "trials"  # goes on with it here
