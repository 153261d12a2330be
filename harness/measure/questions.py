"""The questions to an artifact about the images of a split, and what answers them: this machine, or
the hosts of a lab (`lab_answers.py`). Each question may depend on the answers to earlier ones, so a
generator asks and decides; the machine that answers decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from harness.analysis import scores
from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError, WorkerError
from harness.core.pixels import Pixels
from harness.core.types import Artifact, Evaluation
from harness.devices.host import worker_process
from harness.devices.host.target import INTERPRETER
from harness.system import processors
from harness.system.pace import Pace

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

WORKER = Path(__file__).with_name("evaluate_worker.py")
HARNESS = Path(__file__).parents[2]  # where the worker finds the harness
# Only guards against a hang: on a busy machine everything takes ten times as long.
_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S = 600.0, 30.0

# Accuracy is measured on the test split alone: on images that training saw it would be too high.
# Pixel ranges are tried on the validation split.
Split = Literal["validation", "test"]


class Question(NamedTuple):
    """The images of a split from `rows[0]` up to `rows[1]`, given as `pixels`."""

    split: Split
    rows: tuple[int, int]
    pixels: Pixels

    @property
    def images(self) -> int:
        """The number of images."""
        return self.rows[1] - self.rows[0]


Steps = Generator[Question, scores.Answers, Evaluation]


class Asking:
    """Questions to one artifact, one after the other. `question` is the one that waits for its
    answers, None once all were answered; `found` is then the result."""

    def __init__(self, artifact: Artifact, steps: Steps) -> None:
        self.artifact, self._steps = artifact, steps
        self.question: Question | None = None
        self.found: Evaluation | None = None
        self._go(lambda: next(steps))

    def answer(self, answers: scores.Answers) -> None:
        """Give the answers to the question that waits."""
        self._go(lambda: self._steps.send(answers))

    def fail(self, error: MeasurementError) -> None:
        """The question cannot be answered."""
        self._go(lambda: self._steps.throw(error))

    def _go(self, step: Callable[[], Question]) -> None:
        try:
            self.question = step()
        except StopIteration as over:
            self.question, self.found = None, over.value


class Source(Protocol):
    """See evaluate.Dataset."""

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """See evaluate.Dataset."""

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        """See evaluate.Dataset."""


class Images:
    """The images of one data set as files, which are read when first needed."""

    def __init__(self, dataset: Source, scratch: Path) -> None:
        self._dataset, self._scratch = dataset, scratch
        self._grey: dict[Split, tuple[Path, NDArray[Any]]] = {}
        self._coloured: dict[Split, Path | None] = {}

    def labels(self, split: Split) -> list[int]:
        """The label of every image of a split."""
        return [int(label) for label in self._greys(split)[1]]

    def file(self, artifact: Artifact, split: Split) -> Path:
        """The pictures: in colour for a file of the user's that takes colours; networks that are
        trained here learn from greys."""
        (tensor,) = artifact.inputs
        if artifact.model is None and tensor.shape[3] == 3:
            if split not in self._coloured:
                colours = self._dataset.colours(split)
                self._coloured[split] = None if colours is None else self._file(colours)
            if coloured := self._coloured[split]:
                return coloured
        return self._greys(split)[0]

    def _greys(self, split: Split) -> tuple[Path, NDArray[Any]]:
        if split not in self._grey:
            images, labels = self._dataset.arrays(split)
            self._grey[split] = self._file(images), labels
        return self._grey[split]

    def _file(self, images: NDArray[np.uint8]) -> Path:
        """The file that an array is mapped from, or a copy of one that is in memory."""
        import numpy as np

        if isinstance(images, np.memmap) and images.filename is not None:
            return Path(images.filename)
        path = self._scratch / f"{len(list(self._scratch.iterdir()))}.npy"
        np.save(path, images)
        return path


class Answerer(Protocol):
    """What answers questions: this machine or a lab."""

    def answer(
        self,
        askings: Mapping[str, Asking],
        images: Images,
        *,
        tell: Callable[[str, str], None],
        done: Callable[[str, Evaluation], None],
    ) -> None:
        """All questions of all `askings`, by variant. `tell` is called with how far a variant is,
        `done` with its result as soon as it is known."""


class Here:
    """This machine answers, one artifact after the other, each on all processors."""

    def __init__(self, logs: Path, worker: Path) -> None:
        self._logs, self._worker = logs, worker

    def answer(
        self,
        askings: Mapping[str, Asking],
        images: Images,
        *,
        tell: Callable[[str, str], None],
        done: Callable[[str, Evaluation], None],
    ) -> None:
        """See Answerer."""
        for name, asking in askings.items():
            while (question := asking.question) is not None:
                tell(name, "")
                try:
                    asking.answer(self._ask(name, asking.artifact, question, images, tell))
                except MeasurementError as error:
                    asking.fail(error)
            assert asking.found is not None
            done(name, asking.found)

    def _ask(
        self,
        name: str,
        artifact: Artifact,
        question: Question,
        images: Images,
        tell: Callable[[str, str], None],
    ) -> scores.Answers:
        file = str(images.file(artifact, question.split))
        answers = read(
            ask(
                request(artifact, question, artifact.path, file, threads=processors.usable()),
                log=self._logs / f"{artifact.sha256[:12]}.log",
                images=question.images,
                told=far(question.images, lambda text: tell(name, text)),
                worker=self._worker,
            )
        )
        return as_asked(answers, artifact)


def far(count: int, tell: Callable[[str], None]) -> Callable[[int], None]:
    """A function whose text says how many of `count` images are answered, and how long the rest
    will take."""
    pace = Pace()
    return lambda done: tell(f"{done:,} of {count:,}{pace.left(done, count)}")


def request(
    artifact: Artifact, question: Question, model: str, images: str, *, threads: int
) -> dict[str, object]:
    """The request to the worker; `model` and `images` are files of the machine that it runs on, or
    their SHA-256."""
    (tensor,) = artifact.inputs
    return {
        "model": model,
        "runtime": INTERPRETER,
        "threads": threads,
        "signature": artifact.signature,
        "resources": artifact.keeps_resources,
        "images": images,
        "rows": question.rows,
        "tensor": msgspec.to_builtins(tensor),
        "pixels": msgspec.to_builtins(question.pixels),
    }


def ask(
    request: Mapping[str, object],
    *,
    log: Path,
    images: int,
    told: Callable[[int], None],
    worker: Path = WORKER,
    attendant: Attendant | None = None,
) -> dict[str, object]:
    """What the worker on this machine answers about this many `images`; raises WorkerError."""
    return worker_process.ask(
        {**request, "harness": str(HARNESS)},
        log=log,
        timeout_s=max(_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S * images),
        worker=worker,
        told=told,
        attendant=attendant,
        if_slow="give fewer test images, or leave the variant out",
    )


def read(result: object) -> scores.Answers:
    """What a worker answered; raises WorkerError."""
    try:
        return msgspec.convert(result, scores.Answers)
    except msgspec.ValidationError as error:
        raise WorkerError("answers", f"the worker gave no usable answer: {error}") from None


def as_asked(answers: scores.Answers, artifact: Artifact) -> scores.Answers:
    """The answers as probabilities, also if the artifact answers with logits."""
    return scores.as_probabilities(answers) if artifact.answers == "logits" else answers
