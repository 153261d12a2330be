"""Trials at the hosts of a lab: Dask on loopback, with trials of fixed length."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.artifacts.cache import Cache
from harness.core.search import Candidate
from harness.core.specs import TrainingSpec, VariantsFile
from harness.engine import dask
from harness.search import at_lab, away, loop
from harness.search.loop import Loop, Stop
from harness.search.objective import WithoutTest
from harness.search.study import Asked
from harness.system.files import cache_dir
from tests import fixed_trial
from tests.labs import lab
from tests.paths import ROOT
from tests.searches import TINY, Betraying, Instant, study

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


@pytest.mark.slow
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


@pytest.mark.slow
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


class Desk:
    """Where a host does a trial, with the files in a folder."""

    def __init__(self, folder: Path, paths: Mapping[str, Path]) -> None:
        self.folder, self.stopping = folder, threading.Event()
        self.cache = cache_dir()
        self._paths, self.said, self.kept = paths, [], {}  # type: ignore[var-annotated]

    def file(self, sha256: str) -> Path:
        return self._paths[sha256]

    def keep(self, path: Path, sha256: str) -> None:
        self.kept[sha256] = path

    def expects(self, left_s: float) -> None:
        """A trial does not know."""

    def say(self, event: bytes) -> None:
        self.said.append(float(event))


@pytest.mark.slow
def test_a_host_trains_on_what_it_was_sent_and_offers_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Betraying()
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.py").write_text(TINY)
    training = TrainingSpec(epochs=2, learning_rate=0.02, batch_size=16)
    project = VariantsFile(variants={}, training={"tiny": training})
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(there))
    sender = at_lab.Sender(
        project,
        tmp_path / "models",
        WithoutTest(data),
        here,
        seed=0,
        budget="size<=1MB",
        objectives=("accuracy", "size_bytes"),
    )
    candidate = Candidate(space="tiny", model="tiny", recipe="float32", options={"units": 4})
    desk = Desk(tmp_path / "desk", sender.files)
    asked = Asked(3, candidate, {}, None)
    answer = msgspec.json.decode(away.carry_out(sender.arguments(asked), desk), type=away.Answer)
    assert answer.trial is not None and answer.trial.state == "done"
    assert (answer.trial.number, answer.trial.images) == (3, 40)
    assert len(desk.said) == 2  # an accuracy after each epoch
    assert "test" not in data.read
    names = {"tiny.py", "images.npy", "labels.npy"}
    assert {path.name for path in sender.files.values()} == names

    class Engine:
        def fetch(self, address: str, sha256: str, write: Any) -> None:
            write(desk.kept[sha256].read_bytes())

    assert answer.made is not None
    sender.bring(Engine(), "host", answer.made)  # type: ignore[arg-type]
    artifact = Cache(here).get(answer.made.key)
    assert artifact is not None and artifact.size_bytes == answer.trial.size_bytes
    desk.stopping.set()
    stopped = away.carry_out(sender.arguments(asked), desk)
    assert msgspec.json.decode(stopped, type=away.Answer).trial is None


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
