"""One candidate -> what it costs and how well it answers: what is cheap before what is expensive.

    converted without training    size, parameters, multiply-accumulates     seconds
    on the emulated core          instructions, where a budget or an objective is about them
    trained                       ended early if it falls behind
    validation images             accuracy
    on the device                 what the budget names, only if it may reach the front

Whatever is over a budget ends there. The test split cannot be read here: see `WithoutTest`.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.analysis import metric_specs
from harness.analysis.budget import Budget, excess
from harness.analysis.search_front import may_reach
from harness.artifacts import builder
from harness.artifacts.representative import of_dataset
from harness.artifacts.side_by_side import Children
from harness.core import units
from harness.core.build_progress import BuildProgress
from harness.core.errors import BuildError, MeasurementError
from harness.core.search import Candidate, Trial
from harness.core.specs import VariantsFile, VariantSpec
from harness.core.types import Artifact, Measurement
from harness.measure import evaluate
from harness.search.loop import Stop, Stopped
from harness.search.study import Asked, Watched

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from harness.data.dataset import Dataset, DataSummary, Split

TRIED = "search"  # the variant that a trial is built as
COUNTED = metric_specs.of_family("counts")

Measures = Callable[[Artifact], Mapping[str, Measurement]]


class WithoutTest:
    """A data set whose test split cannot be read. Trials get no other."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    @property
    def name(self) -> str:
        """See Dataset."""
        return self._dataset.name

    @property
    def classes(self) -> tuple[str, ...]:
        """See Dataset."""
        return self._dataset.classes

    @property
    def summary(self) -> DataSummary:
        """See Dataset."""
        return self._dataset.summary

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """See Dataset."""
        return self._dataset.arrays(_not_test(split))

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        """See Dataset."""
        return self._dataset.colours(_not_test(split))

    def fingerprint(self, split: Split) -> str:
        """See Dataset."""
        return self._dataset.fingerprint(_not_test(split))


def _not_test(split: Split) -> Split:
    if split == "test":
        raise PermissionError("a search must not read the test split before its finalists are set")
    return split


@dataclass(frozen=True)
class Setting:
    """What all trials of a search have in common. `count` and `measure` run an artifact on the
    emulated core and on the device; None where there is none."""

    project: VariantsFile
    models_dir: Path
    cache: Path
    dataset: WithoutTest
    seed: int
    budgets: Sequence[Budget] = ()
    objectives: Sequence[str] = ("accuracy", "size_bytes")
    count: Measures | None = None
    measure: Measures | None = None
    alone: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    progress: Callable[[int, BuildProgress], None] = lambda number, progress: None
    children: Children = field(default_factory=Children)


class Built:
    """The real Objective: builds, evaluates, measures."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._turns = Turns()

    def end(self) -> None:
        """See Objective."""
        self._setting.children.end()

    def __call__(self, asked: Asked, study: Watched, stop: Stop) -> Trial:
        """See Objective."""
        stop.check()
        with self._turns.together():
            trial = self._cheap(asked)
            if trial.keeps_budget:
                trial = self._trained(trial, asked, study, stop)
        return self.complete(trial, study, stop)

    def complete(self, trial: Trial, study: Watched, stop: Stop) -> Trial:
        """A trial that was trained, here or at a host of a lab, with what is counted and measured
        here. Raises as an Objective does."""
        setting = self._setting
        if trial.state != "done":
            return trial
        if setting.count is not None and trial.instructions is None:
            stop.check()
            counted = setting.count(self.artifact(trial.candidate, trained=True))
            trial = with_counts(trial, counted, setting.budgets)
        if setting.measure is None or not trial.keeps_budget:
            return trial
        if not may_reach(trial, study.trials(), setting.objectives):
            return trial
        stop.check()
        # What runs on this machine's processors must have them to itself.
        with self._turns.alone(), setting.alone():
            measured = setting.measure(self.artifact(trial.candidate, trained=True))
        return over_budget(
            msgspec.structs.replace(trial, measured={**trial.measured, **measured}),
            setting.budgets,
            measured,
        )

    def _cheap(self, asked: Asked) -> Trial:
        """The trial with what is known without training; refused if that is over a budget. Nothing
        is converted if no budget needs it."""
        setting = self._setting
        new = Trial(
            number=asked.number, candidate=asked.candidate, params=asked.params, state="done"
        )
        if setting.count is None and not any(b.spec.name == "size" for b in setting.budgets):
            return new
        artifact = self.artifact(
            asked.candidate,
            trained=False,
            progress=lambda now: setting.progress(asked.number, now),
        )
        trial = described(
            new,
            artifact,
            setting.budgets,
        )
        if not trial.keeps_budget or setting.count is None:
            return refused(trial)
        counted = setting.count(artifact)
        return refused(with_counts(trial, counted, setting.budgets))

    def _trained(self, trial: Trial, asked: Asked, study: Watched, stop: Stop) -> Trial:
        setting = self._setting
        curve = study.curve(asked)

        def progress(now: BuildProgress) -> None:
            setting.progress(asked.number, now)
            stop.check()
            if now.validation_accuracy is not None and curve(now.validation_accuracy):
                raise Stopped(now.validation_accuracy)

        early = True
        try:
            artifact = self.artifact(trial.candidate, trained=True, progress=progress)
            early = False
        except Stopped as stopped:
            at = f"{stopped.args[0]:.3f}"
            return msgspec.structs.replace(
                trial,
                state="stopped",
                reason=f"its training fell behind, at a validation accuracy of {at}",
            )
        finally:
            curve.ended(early=early)
        if artifact.trained is False:
            raise BuildError("it is not trained", "give its training epochs in variants.yaml")
        (answered,) = evaluate.evaluate(
            {trial.name: msgspec.structs.replace(artifact, variant=trial.name)},
            setting.dataset,
            cache=setting.cache,
            split=evaluate.VALIDATION,
        )
        if answered.failure is not None:
            raise MeasurementError("validation", answered.failure.message, answered.failure.fix)
        right = sum(answered.right)
        trial = msgspec.structs.replace(
            described(trial, artifact, setting.budgets),
            accuracy=right / answered.n,
            right=right,
            images=answered.n,
        )
        # A trial that was trained is done even if it misses a budget, which `over` says.
        return over_budget(trial, setting.budgets, after_training(artifact, right / answered.n))

    def artifact(
        self,
        candidate: Candidate,
        *,
        trained: bool,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Artifact:
        """The artifact, from the cache or built. Raises BuildError."""
        setting, name = self._setting, TRIED
        variants = {**setting.project.variants, name: variant_of(candidate)}
        built = builder.build(
            [name],
            msgspec.structs.replace(setting.project, variants=variants),
            models_dir=setting.models_dir,
            cache_dir=setting.cache,
            representative=of_dataset(setting.dataset),
            data=setting.dataset if trained else None,
            seed=setting.seed,
            progress=progress,
            classes=len(setting.dataset.classes),
            children=setting.children,
        )
        for failure in built.failures.values():
            raise BuildError(failure.message, failure.fix)
        return built.artifacts[name]


def variant_of(candidate: Candidate) -> VariantSpec:
    """The candidate as models/variants.yaml would have it."""
    return VariantSpec(
        model=candidate.model,
        recipe=candidate.recipe,
        options=candidate.options,
        recipe_options=candidate.recipe_options,
        weights=candidate.weights,
        training=candidate.training,
    )


def described(trial: Trial, artifact: Artifact, budgets: Sequence[Budget]) -> Trial:
    """The trial with what is known from the converted file, which neither training nor pruning
    changes."""
    trial = msgspec.structs.replace(
        trial,
        size_bytes=artifact.size_bytes,
        parameters=artifact.parameters,
        macs=artifact.macs,
    )
    size = Measurement(unit="bytes", point=artifact.size_bytes)
    return over_budget(trial, budgets, {"size": size})


def after_training(artifact: Artifact, accuracy: float) -> dict[str, Measurement]:
    """The trial with what is known only of a trained network: its size when compressed, and the
    validation accuracy, which is used while the test split is closed."""
    return {
        "gzip_size": Measurement(unit="bytes", point=artifact.gzip_bytes),
        "accuracy": Measurement(unit="1", point=accuracy),
    }


def with_counts(
    trial: Trial, counted: Mapping[str, Measurement], budgets: Sequence[Budget]
) -> Trial:
    """The trial with what was counted on the emulated core."""
    found = counted.get("instructions")
    point = None if found is None or found.point is None else int(found.point)
    return over_budget(msgspec.structs.replace(trial, instructions=point), budgets, counted)


def over_budget(trial: Trial, budgets: Sequence[Budget], known: Mapping[str, Measurement]) -> Trial:
    """The trial with how far it misses each budget whose metric is `known`."""
    found = {}
    for budget in budgets:
        if budget.spec.name in known:
            # By the point: the intervals of a few launches are wide, and the verdict judges by
            # intervals.
            point = msgspec.structs.replace(known[budget.spec.name], ci_low=None, ci_high=None)
            much = excess(budget, point)
            found[budget.text] = 100.0 if math.isinf(much) else much
    return msgspec.structs.replace(trial, over={**trial.over, **found})


def refused(trial: Trial) -> Trial:
    """The trial as refused, with the reason, if it is over a budget."""
    missed = missed_by(trial)
    if not missed:
        return trial
    return msgspec.structs.replace(trial, state="refused", reason=f"misses {' and '.join(missed)}")


def missed_by(trial: Trial) -> list[str]:
    """`size<=1MB by a factor of 1.8`: each budget that it misses."""
    return [
        f"{text} by a factor of {units.significant(math.exp(much))}"
        for text, much in trial.over.items()
        if much > 0
    ]


class Turns:
    """A lock for work that may run together and work that needs the machine alone. The latter waits
    until all others have finished, and no other work begins meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = 0  # waiting or running

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Run beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone += 1
            self._changed.wait_for(lambda: not self._together)
        try:
            yield
        finally:
            with self._changed:
                self._alone -= 1
                self._changed.notify_all()
