"""Trials that a host of a lab trained are counted and measured here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.analysis import metric_specs
from harness.analysis.budget import parse_budget
from harness.core.errors import MeasurementError
from harness.core.lab import PROCESSOR, HostOffer
from harness.core.search import Candidate, Trial
from harness.core.specs import VariantsFile
from harness.core.types import Artifact, Measurement
from harness.engine import Place
from harness.search import at_lab
from harness.search.loop import Complete, Loop, Stop
from harness.search.objective import Built, Setting, WithoutTest
from tests import fixed_trial, reports
from tests.reports import _factory
from tests.searches import Betraying, Instant, study

DESK: Any = SimpleNamespace(say=lambda event: True, stopping=threading.Event())


def answered(folder: Path, complete: Complete, *, trials: int = 1, stop: Stop | None = None) -> Any:
    """The trials of a search whose host answers each at once."""
    offer = HostOffer("one", "tcp://one", processors=2, harness="", system="")
    with contextlib.closing(study(folder)) as of:
        loop = Loop(of, Instant(), trials=trials, stop=stop or Stop())
        slot = at_lab.Slot(
            loop,
            "search-1",
            arguments=fixed_trial.arguments(0),
            paths={},
            bring=lambda address, made: None,
            complete=complete,
        )
        for _ in range(trials):
            place = slot.place([offer], {offer.address: {PROCESSOR: 2}})
            assert isinstance(place, Place)
            assert slot.ended(fixed_trial.carry_out(slot.job(place).arguments, DESK)) is None
        assert loop.error is None
        return of.trials()


class Here(Built):
    """The objective of a search, with every artifact in the cache; notes what it runs."""

    def __init__(self, folder: Path, budget: str, instructions: int) -> None:
        self.ran: list[str] = []
        self.of = instructions
        super().__init__(
            Setting(
                project=VariantsFile(variants={}),
                models_dir=folder,
                cache=folder,
                dataset=WithoutTest(Betraying()),
                seed=0,
                budgets=parse_budget(budget, metric_specs.specs()),
                objectives=("accuracy", "size_bytes", "instructions"),
                count=self.counts,
                measure=self.measures,
            )
        )

    def artifact(self, candidate: Candidate, **how: Any) -> Artifact:
        return _factory.artifact("scratch", reports.VARIANTS["scratch"])

    def counts(self, artifact: Artifact) -> Mapping[str, Measurement]:
        self.ran.append("count")
        return {"instructions": Measurement(unit="count", point=self.of)}

    def measures(self, artifact: Artifact) -> Mapping[str, Measurement]:
        self.ran.append("measure")
        return {"latency_p95": Measurement(unit="ns", point=7e6)}


def test_it_is_counted_and_then_measured(tmp_path: Path) -> None:
    built = Here(tmp_path, "instructions<=50M,latency_p95<=5ms", 40_000_000)
    (trial,) = answered(tmp_path, built.complete)
    assert built.ran == ["count", "measure"]
    assert (trial.state, trial.instructions) == ("done", 40_000_000)
    assert trial.measured["latency_p95"].point == 7e6
    assert trial.over["instructions<=50M"] == 0
    assert trial.over["latency_p95<=5ms"] > 0
    assert not trial.keeps_budget


def test_what_has_too_many_instructions_is_not_measured(tmp_path: Path) -> None:
    built = Here(tmp_path, "instructions<=50M,latency_p95<=5ms", 60_000_000)
    (trial,) = answered(tmp_path, built.complete)
    assert built.ran == ["count"]
    assert not trial.keeps_budget


def test_what_was_counted_before_its_training_is_not_counted_again(tmp_path: Path) -> None:
    built = Here(tmp_path, "latency_p95<=9ms", 60_000_000)
    trial = Trial(
        number=1,
        candidate=Candidate(space="wide", model="wide", recipe="int8", options={}),
        params={},
        state="done",
        size_bytes=1000,
        accuracy=0.9,
        instructions=5,
    )
    with contextlib.closing(study(tmp_path)) as of:
        assert built.complete(trial, of, Stop()).instructions == 5
    assert built.ran == ["measure"]


def test_a_device_that_fails_costs_the_trial_and_not_the_search(tmp_path: Path) -> None:
    asked = []

    def fails(trial: Trial, *_: object) -> Trial:
        asked.append(trial.number)
        if trial.number == 1:
            raise MeasurementError("measure", "pixel: it is off")
        return trial

    first, second = answered(tmp_path, fails, trials=2)
    assert (first.state, first.reason) == ("failed", "pixel: it is off")
    assert second.state == "done"
    assert asked == [1, 2]


def test_a_trial_whose_measuring_was_ended_is_gone_on_with(tmp_path: Path) -> None:
    stop = Stop()

    def ends(trial: Trial, _: object, of: Stop) -> Trial:
        of.interrupted.set()
        of.check()
        raise AssertionError

    (trial,) = answered(tmp_path, ends, stop=stop)
    assert trial.state == "unfinished"
    (again,) = answered(tmp_path, lambda trial, *_: trial)
    assert (again.number, again.state) == (1, "done")
