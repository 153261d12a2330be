"""One trial at a host of a lab: the order, and the answer.

The host gets the training and validation images and no others, the model files, and one candidate.
It sends the validation accuracy after each epoch, and ends when asked to.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.analysis import metric_specs
from harness.analysis.budget import parse_budget
from harness.artifacts.child import forked
from harness.artifacts.side_by_side import Children
from harness.core.base import Value
from harness.core.data import SPLITS, DataSummary, Split
from harness.core.search import Candidate, Trial
from harness.core.specs import VariantsFile
from harness.engine.lab.child import Desk
from harness.measure.away_build import Made, kept
from harness.search.loop import OutOfTime, Stop
from harness.search.objective import Built, Setting, WithoutTest
from harness.search.study import Asked

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray


class SentSplit(Value, frozen=True):
    """One split: the SHA-256 of its images and of its labels, and its fingerprint."""

    images: str
    labels: str
    fingerprint: str


class Order(Value, frozen=True):
    """What a host is to do. `models` are the files of models/ by name and SHA-256."""

    number: int
    candidate: Candidate
    params: dict[str, object]
    project: VariantsFile
    models: dict[str, str]
    name: str
    classes: tuple[str, ...]
    splits: dict[Split, SentSplit]
    seed: int
    budget: str | None
    objectives: tuple[str, ...]


class Answer(Value, frozen=True):
    """The trial, None if it was ended; what it made, for the client's cache."""

    trial: Trial | None
    made: Made | None = None


class Sent:
    """The images that came; see Dataset."""

    def __init__(self, order: Order, desk: Desk) -> None:
        self.name, self.classes = order.name, order.classes
        self._splits, self._desk = order.splits, desk

    @property
    def summary(self) -> DataSummary:
        """See Dataset."""
        counts = {name: dict.fromkeys(SPLITS, 0) for name in self.classes}
        return DataSummary(name=self.name, counts=counts, split_by="sent")

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """See Dataset."""
        import numpy as np

        sent = self._splits[split]
        images, labels = (self._desk.file(digest) for digest in (sent.images, sent.labels))
        return np.load(images, mmap_mode="r"), np.load(labels)

    def colours(self, split: Split) -> None:
        """None: networks that are trained here learn from grey images."""

    def fingerprint(self, split: Split) -> str:
        """See Dataset."""
        return self._splits[split].fingerprint


class _Study:
    """The study as a trial at another host sees it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def curve(self, asked: Asked) -> _Study:
        """See Study."""
        return self

    def __call__(self, accuracy: float) -> bool:
        """False: the client decides, and then asks this host to stop."""
        self._desk.say(msgspec.json.encode(accuracy))
        return False

    def ended(self, *, early: bool) -> None:
        """Nothing to do: the client knows."""

    def trials(self) -> tuple[Trial, ...]:
        """None: nothing is measured on a device here."""
        return ()


def carry_out(arguments: bytes, desk: Desk) -> bytes:
    """Try the candidate; an Answer in JSON. Raises HarnessError."""
    order = msgspec.json.decode(arguments, type=Order)
    models = desk.folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    for name, digest in order.models.items():
        (models / Path(name).name).write_bytes(desk.file(digest).read_bytes())
    children = Children()
    setting = Setting(
        project=order.project,
        models_dir=models,
        cache=desk.cache,
        dataset=WithoutTest(Sent(order, desk)),
        seed=order.seed,
        budgets=parse_budget(order.budget, metric_specs.specs()) if order.budget else (),
        objectives=order.objectives,
        children=children,
    )
    built = Built(setting)
    stop = Stop()
    stop.interrupted = desk.stopping
    asked = Asked(order.number, order.candidate, order.params, None)
    with forked.server:
        try:
            trial = built(asked, _Study(desk), stop)
        except OutOfTime:
            return msgspec.json.encode(Answer(trial=None))
    return msgspec.json.encode(Answer(trial=trial, made=_made(built, trial, desk)))


def _made(built: Built, trial: Trial, desk: Desk) -> Made | None:
    if trial.state != "done":
        return None
    artifact = built.artifact(trial.candidate, trained=True)
    return kept(Path(artifact.path).parent, desk)
