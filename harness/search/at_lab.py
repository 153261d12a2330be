"""Trials at the hosts of a lab, as the client has them: one piece of work that asks for trial after
trial, for each that the lab can do at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.artifacts.material import LEARNED_FROM, Material
from harness.core.base import Failure
from harness.core.errors import HarnessError, UsageError
from harness.core.lab import HostOffer
from harness.core.search import Trial
from harness.core.specs import VariantsFile
from harness.engine import Ending, Engine, Job, Later, Place, places
from harness.measure.away_build import Made
from harness.measure.lab_build import receive
from harness.search import away, loop
from harness.search.loop import Complete, Loop
from harness.search.objective import TRIED, WithoutTest
from harness.search.study import Asked, Curve
from harness.system import causes
from harness.system.digests import Digests

CARRY_OUT = "harness.search.away:carry_out"
TRIES = 4  # if as many different hosts are lost, the candidate is the cause
PATIENCE_S = 600.0


class Sender:
    """What all orders of a search have in common, and the files that go with them."""

    def __init__(
        self,
        project: VariantsFile,
        models_dir: Path,
        dataset: WithoutTest,
        cache: Path,
        *,
        seed: int,
        budget: str | None,
        objectives: tuple[str, ...],
    ) -> None:
        self._project, self._dataset, self._seed = project, dataset, seed
        self._budget, self._objectives = budget, objectives
        self._cache = cache
        material = Material(dataset, cache)
        material.save()
        digests = Digests()
        self.files = digests.paths
        self._models = {p.name: digests.of(p) for p in sorted(models_dir.glob("*.py"))}
        self._splits = {}
        for split in LEARNED_FROM:
            where = material.files(split)
            self._splits[split] = away.SentSplit(
                images=digests.of(Path(where.images)),
                labels=digests.of(Path(where.labels)),
                fingerprint=dataset.fingerprint(split),
            )

    def arguments(self, asked: Asked) -> bytes:
        """The order of one trial, in JSON."""
        return msgspec.json.encode(
            away.Order(
                number=asked.number,
                candidate=asked.candidate,
                params=asked.params,
                project=self._project,
                models=self._models,
                name=self._dataset.name,
                classes=self._dataset.classes,
                splits=self._splits,
                seed=self._seed,
                budget=self._budget,
                objectives=self._objectives,
            )
        )

    def bring(self, engine: Engine, address: str, made: Made) -> None:
        """Put what a host made into this machine's cache, so that it is not made again here."""
        receive(made, self._cache, engine, address, host=address, variant=TRIED)


class Slot:
    """Does one trial at a time at the lab; a piece of AwayWork. What a host trained is counted and
    measured here by `complete`, one trial after the other."""

    def __init__(
        self,
        trials: Loop,
        run: str,
        *,
        arguments: Callable[[Asked], bytes],
        paths: Mapping[str, Path],
        bring: Callable[[str, Made], None],
        complete: Complete = lambda trial, study, stop: trial,
        function: str = CARRY_OUT,
    ) -> None:
        self._loop, self._run, self._function = trials, run, function
        self._arguments, self._paths, self._bring = arguments, paths, bring
        self._complete = complete
        self._asked: Asked | None = None
        self._curve: Curve | None = None
        self._behind = ""
        self._at = ""
        self._tries, self._began = 0, 0.0

    def stop(self) -> None:
        """See AwayWork."""
        self._loop.stop.interrupted.set()

    def place(
        self, hosts: Sequence[HostOffer], free: Mapping[str, Mapping[str, float]]
    ) -> Place | Later:
        """See AwayWork. Without another trial there is nothing to wait for."""
        if self._asked is None:
            self._asked = self._loop.next()
            self._tries = 0
        if self._asked is None:
            return Later("no trial is left", "", 0)
        found = places.best(hosts, free, places.few_processors)
        busy = Later("no host of the lab has a free processor", "go on with --resume", PATIENCE_S)
        return found or busy

    def job(self, place: Place) -> Job:
        """See AwayWork."""
        assert self._asked is not None
        self._tries += 1
        self._began, self._at, self._behind = time.monotonic(), place.host.address, ""
        self._curve = self._loop.study.curve(self._asked)
        return Job(
            name=f"trial {self._asked.number}",
            run=self._run,
            function=self._function,
            arguments=self._arguments(self._asked),
            files=self._paths,
        )

    def hear(self, event: bytes) -> bool:
        """See AwayWork: the accuracy after an epoch."""
        accuracy = msgspec.json.decode(event, type=float)
        if self._curve is not None and not self._behind and self._curve(accuracy):
            self._behind = f"its training fell behind, at a validation accuracy of {accuracy:.3f}"
        return not self._behind and not self._loop.stop.now

    def ended(self, answer: bytes) -> Ending | None:
        """See AwayWork. After a trial comes the next one."""
        told = msgspec.json.decode(answer, type=away.Answer)
        if told.made is not None:
            try:
                self._bring(self._at, told.made)
            except (HarnessError, OSError) as error:  # then it is made again here
                if isinstance(error, HarnessError):
                    causes.tell(error)
        return self._finish(told.trial)

    def lost(self, failure: Failure) -> Ending | None:
        """See AwayWork. A host that is lost costs a try, a trial that fails only itself."""
        if failure.transient and self._tries < TRIES and not self._loop.stop.now:
            self._end_curve(early=True)
            return None
        assert self._asked is not None
        return self._finish(loop.failed(self._asked, HarnessError(failure.message, failure.fix)))

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """See AwayWork. What is under way stays unfinished."""
        self._end_curve(early=True)
        if self._asked is not None and not stopped and not self._loop.stop.now:
            self._loop.fail(UsageError(why.why, why.fix))
        return "interrupted" if stopped else "done"

    def waiting(self, why: Later, left_s: float) -> None:
        """See AwayWork."""

    def _finish(self, trial: Trial | None) -> Ending | None:
        asked, self._asked = self._asked, None
        assert asked is not None
        if trial is None and self._behind:
            trial = msgspec.structs.replace(
                loop.failed(asked, HarnessError(self._behind)), state="stopped"
            )
        self._end_curve(early=trial is None or trial.state != "done")
        if trial is None:
            return "interrupted"
        came = trial
        self._loop.do(asked, lambda _, study, stop: self._complete(came, study, stop), self._began)
        return None

    def _end_curve(self, *, early: bool) -> None:
        if self._curve is not None:
            self._curve.ended(early=early)
        self._curve = None


def slots(hosts: Sequence[HostOffer]) -> int:
    """How many trials the hosts can do at a time."""
    return sum(max(1, host.processors // places.FEW) for host in hosts)


def run(trials: Loop, engine: Engine, works: Sequence[Slot]) -> loop.StopReason:
    """Do trials; why it ended. Raises the error that ended it."""
    for place, work in enumerate(works):
        engine.submit(work, f"slot {place + 1}")
    engine.gather()
    if trials.error is not None:
        raise trials.error
    trials.next()  # notes why it ended, if the last one was interrupted
    return trials.reason or "interrupted"
