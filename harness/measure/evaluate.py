"""How right an artifact is: the very .tflite file answers every image of the test split.

In a child process per artifact, on all cores and before anything is timed, so that it touches no
latency. Answers are kept in the cache by the content of the artifact, of the split and the version
of the runtime; an artifact that crashes or cannot take the images costs itself its accuracy and
nobody else anything.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from harness.core.errors import MeasurementError, UsageError, WorkerError
from harness.core.evaluation import packed_labels, packed_scores
from harness.core.specs import HostSpec
from harness.core.types import Artifact, Evaluation
from harness.devices.host import worker_process
from harness.devices.host.target import runtime_version
from harness.stats import accuracy, logits
from harness.system import files, processors

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

WORKER = Path(__file__).with_name("evaluate_worker.py")
RUNTIME = "litert"
# Part of every key of the cache: raise it whenever the same inputs give other answers.
VERSION = 2
_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S = 300.0, 5.0
_CHUNK = 64


# Nothing else is ever asked for: accuracy on images that training saw would be flattery.
Split = Literal["test"]
TEST: Split = "test"


class Dataset(Protocol):
    """Labelled images in splits. Labels are indices into `classes`; a split's fingerprint changes
    whenever an image or a label of it does."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """At least two."""

    def arrays(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """(images uint8 (n, 256, 256), labels (n,)), always in the same order."""

    def fingerprint(self, split: Split) -> str:
        """Known without reading the images."""


class Answers(msgspec.Struct):
    """What the worker says."""

    scores: list[float]
    width: int
    step: float


def evaluate(
    artifacts: Mapping[str, Artifact],
    dataset: Dataset,
    *,
    cache: Path,
    brought: bool = True,
    progress: Callable[[str, int, int], None] = lambda variant, done, total: None,
    worker: Path = WORKER,
) -> tuple[Evaluation, ...]:
    """An Evaluation per artifact, in their order; one that failed says so in it. Untrained
    artifacts are left out, since nothing is to be learned from their answers, and unless `brought`
    so are files that the user brought, whose classes may be others. Agreement is with the
    float parent where that is among `artifacts`. `progress` hears (variant, done, total).

    Raises UsageError if the cache cannot be written to.
    """
    chosen = {
        name: a
        for name, a in artifacts.items()
        if a.trained is not False and (brought or a.model is not None)
    }
    runtime = f"{RUNTIME} {runtime_version(RUNTIME, HostSpec())}"
    found: dict[str, Evaluation] = {}
    try:
        folder = cache / "evaluations"
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".images-") as scratch:
            images = _Images(dataset, Path(scratch))
            for done, (name, artifact) in enumerate(chosen.items()):
                empty = Evaluation(
                    variant=name,
                    sha256=artifact.sha256,
                    dataset=dataset.name,
                    split=TEST,
                    fingerprint=dataset.fingerprint(TEST),
                    runtime=runtime,
                    classes=dataset.classes,
                )
                path = folder / f"{_key(empty, artifact.signature)}.json"
                known = _cached(path)
                if known is None:
                    progress(name, done, len(chosen))
                    known = _evaluated(empty, artifact, images, folder / "logs", worker)
                    if known.failure is None:
                        files.write_atomic(path, msgspec.json.encode(known))
                found[name] = msgspec.structs.replace(known, variant=name)
    except OSError as error:
        raise UsageError(
            f"cannot write to {cache}: {error.strerror or error}",
            "make room there or make it writable, or set MOBILE_BENCH_CACHE",
        ) from None
    return tuple(_beside_parent(e, found, artifacts[e.variant]) for e in found.values())


def _beside_parent(
    evaluation: Evaluation, found: Mapping[str, Evaluation], artifact: Artifact
) -> Evaluation:
    parent = found.get(artifact.float_parent or "")
    if parent is None:
        return evaluation
    agreement = accuracy.agreement(evaluation, parent)
    return msgspec.structs.replace(evaluation, agreement=agreement)


def _key(empty: Evaluation, signature: str | None) -> str:
    parts = (VERSION, empty.sha256, empty.split, empty.fingerprint, empty.runtime)
    named = (empty.dataset, empty.classes, signature)
    return hashlib.sha256(msgspec.json.encode([*parts, *named])).hexdigest()


def _cached(path: Path) -> Evaluation | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evaluation)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # a damaged entry is answered again and overwritten


# --- one artifact ----------------------------------------------------------------------------


class _Images:
    """The images, read when the first artifact needs them, and written once per kind of input."""

    def __init__(self, dataset: Dataset, scratch: Path) -> None:
        self.dataset, self.scratch = dataset, scratch
        self._arrays: tuple[NDArray[np.uint8], NDArray[Any]] | None = None
        self._written: dict[str, Path] = {}

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        if self._arrays is None:
            self._arrays = self.dataset.arrays(TEST)
        return self._arrays

    def written(self, artifact: Artifact) -> Path:
        """A .npy with the images as the artifact's input wants them; raises MeasurementError."""
        import numpy as np

        from harness.data.inputs import grey, takes_pictures

        (tensor,) = artifact.inputs
        if not takes_pictures(tensor):
            shape = "x".join(map(str, tensor.shape))
            raise MeasurementError("images", f"its input {shape} {tensor.dtype} takes no picture")
        images, _ = self.arrays()
        plain = (
            tensor.dtype.startswith(("float", "uint8")) and images.shape[1:] == tensor.shape[1:3]
        )
        key = "plain" if plain else f"{tensor.shape[1:3]}{tensor.dtype}{tensor.scale}"
        key += "" if plain else f"{tensor.zero_point}"
        if key not in self._written:
            path = self.scratch / f"{len(self._written)}.npy"
            if plain:
                np.save(path, images)
            else:
                chunks = range(0, len(images), _CHUNK)
                np.save(
                    path, np.concatenate([grey(tensor, images[i : i + _CHUNK]) for i in chunks])
                )
            self._written[key] = path
        return self._written[key]


def _evaluated(
    empty: Evaluation, artifact: Artifact, images: _Images, logs: Path, worker: Path
) -> Evaluation:
    try:
        if len(artifact.inputs) != 1 or len(artifact.outputs) != 1:
            counts = f"{len(artifact.inputs)} inputs and {len(artifact.outputs)} outputs"
            raise MeasurementError("model", f"it has {counts}, not one of each")
        (output,) = artifact.outputs
        if output.dtype == "string":
            raise MeasurementError("model", f"its output {output.name!r} is text, not scores")
        _, labels = images.arrays()
        if not len(labels):
            raise MeasurementError("images", "the test split is empty", "add images")
        log = logs / f"{artifact.sha256[:12]}.log"
        answers = _ask(artifact, images.written(artifact), len(labels), log, worker)
        if artifact.answers == "logits":
            answers = _as_probabilities(answers)
        return _filled(empty, answers, [int(label) for label in labels])
    except MeasurementError as error:
        return msgspec.structs.replace(empty, failure=error.failure)


def _ask(artifact: Artifact, images: Path, n: int, log: Path, worker: Path) -> Answers:
    timeout_s = max(_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S * n)
    request = {
        "model": artifact.path,
        "runtime": RUNTIME,
        "threads": processors.usable(),
        "signature": artifact.signature,
        "images": str(images),
    }
    result = worker_process.ask(
        request,
        log=log,
        timeout_s=timeout_s,
        worker=worker,
        if_slow="give fewer test images, or leave the variant out",
    )
    try:
        return msgspec.convert(result, Answers)
    except msgspec.ValidationError as error:
        raise WorkerError("answers", f"the worker's answer is none: {error}") from None


def _as_probabilities(answers: Answers) -> Answers:
    """Logits as probabilities, which all metrics are about. A step of a logit is at most a quarter
    of it as a probability."""
    scores = logits.probabilities(answers.scores, answers.width)
    return Answers(scores=scores, width=answers.width, step=answers.step / 4)


def _filled(empty: Evaluation, answers: Answers, labels: list[int]) -> Evaluation:
    """The evaluation with its answers; raises MeasurementError if they cannot be read as scores of
    the classes."""
    classes = len(empty.classes)
    if answers.width != classes and (answers.width, classes) != (1, 2):
        raise MeasurementError(
            "answers",
            f"it answers with {answers.width} scores, and {empty.dataset} has {classes} classes",
            "evaluate it on images of its own classes",
        )
    if answers.width == 1 and not all(0 <= s <= 1 for s in answers.scores):
        raise MeasurementError(
            "answers",
            "its one score leaves the range 0 to 1, so that half of it is no threshold",
            "end the model with a sigmoid",
        )
    filled = msgspec.structs.replace(
        empty,
        n=len(labels),
        width=answers.width,
        scores=packed_scores(answers.scores),
        labels=packed_labels(labels),
        step=answers.step,
    )
    table = accuracy.confusion(filled.decisions, labels, classes)
    return msgspec.structs.replace(filled, confusion=table)
