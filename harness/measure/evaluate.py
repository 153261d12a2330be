"""Accuracy of an artifact: the .tflite file itself answers every image of the test split.

In a child process per artifact, on all cores and before anything is timed, so that it touches no
latency. Every artifact reads the images from the same arrays, which the data set keeps in the
cache. Answers are kept in the cache by the content of the artifact, of the split and the version of
the runtime; if an artifact crashes or cannot take the images, only its own accuracy is missing.

If the pixel range of a user's file had to be assumed, images of the validation split are also given
in other ranges, so that a better one can be reported.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from harness.analysis import looks, scores
from harness.core.errors import MeasurementError, UsageError, WorkerError
from harness.core.pixels import KNOWN, Pixels, named
from harness.core.specs import HostSpec
from harness.core.types import Artifact, Evaluation, Tried
from harness.devices.host import worker_process
from harness.devices.host.target import runtime_version
from harness.stats import accuracy
from harness.system import causes, files, processors
from harness.system.pace import Pace

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

WORKER = Path(__file__).with_name("evaluate_worker.py")
HARNESS = Path(__file__).parents[2]  # where the worker finds us
RUNTIME = "litert"
# Part of every key of the cache: raise it whenever the same inputs give other answers.
VERSION = 4
# Against a hang only: on a busy machine everything takes ten times as long.
_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S = 600.0, 30.0


# Accuracy is of the test split alone: on images that training saw it would be too high. What to
# give a model is tried on the validation split.
Split = Literal["validation", "test"]
TEST: Split = "test"
VALIDATION: Split = "validation"
# Other pixels are tried on so many images at most, and for about so long in all.
MOST_TRIED, TRIED_S = 200, 60.0
LEAST_TRIED = 20
# An artifact that needs longer than this for all test images answers them in looks.
EXPENSIVE_S = 60.0


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
        """(images uint8 (n, 256, 256), labels (n,)), always in the same order; best mapped."""

    def colours(self, split: Split) -> NDArray[np.uint8] | None:
        """The same images in colour (n, 256, 256, 3); None if there is no colour."""

    def fingerprint(self, split: Split) -> str:
        """Known without reading the images."""


def evaluate(
    artifacts: Mapping[str, Artifact],
    dataset: Dataset,
    *,
    cache: Path,
    brought: bool = True,
    margin: float | None = None,
    decide: bool = True,
    split: Split = TEST,
    most: int | None = None,
    progress: Callable[[str, int, int, str], None] = lambda variant, done, total, far: None,
    worker: Path = WORKER,
) -> tuple[Evaluation, ...]:
    """An Evaluation per artifact, in their order; one that failed says so in it. Untrained
    artifacts are left out, since their answers mean nothing, and unless `brought` so are files that
    the user brought, whose classes may be others. Agreement is with the float parent where that is
    among `artifacts`. `progress` is called with (variant, done, total, how far this one is).

    With a `margin`, the accuracy that may be lost, a slow artifact answers a part of the images
    first and then, if the answers are to `decide`, goes on until its part in the decision is
    settled (`harness/analysis/looks.py`). Without one every artifact answers all images of the
    `split`, or the first of them where `most` says how many.

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
            asker = _Asker(dataset, Path(scratch), folder / "logs", worker)
            paths = {}
            for done, (name, artifact) in enumerate(chosen.items()):
                empty = Evaluation(
                    variant=name,
                    sha256=artifact.sha256,
                    dataset=dataset.name,
                    split=split,
                    fingerprint=dataset.fingerprint(split),
                    runtime=runtime,
                    classes=dataset.classes,
                    pixels=artifact.shown,
                )
                path = paths[name] = folder / f"{_key(empty, artifact, most)}.json"
                known = _cached(path)
                if known is None:
                    asker.tell = partial(progress, name, done, len(chosen))
                    known = _evaluated(empty, artifact, asker, most, in_looks=margin is not None)
                    _keep(path, known)
                found[name] = msgspec.structs.replace(known, variant=name)
            if decide:
                for name in _to_answer_more(found, margin):
                    asker.tell = partial(progress, name, len(chosen) - 1, len(chosen))
                    found[name] = _more(found[name], chosen[name], asker)
                    _keep(paths[name], found[name])
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


def _key(empty: Evaluation, artifact: Artifact, most: int | None) -> str:
    parts = (VERSION, empty.sha256, empty.split, empty.fingerprint, empty.runtime)
    named = (empty.dataset, empty.classes, artifact.signature, artifact.answers)
    told = (artifact.model is None, artifact.shown, artifact.labels)
    first = () if most is None else (most,)
    return hashlib.sha256(msgspec.json.encode([*parts, *named, *told, *first])).hexdigest()


def _keep(path: Path, evaluation: Evaluation) -> None:
    if evaluation.failure is None:
        files.write_atomic(path, msgspec.json.encode(evaluation))


def _to_answer_more(found: dict[str, Evaluation], margin: float | None) -> Iterator[str]:
    """One after the other, those who are to answer up to their next look. `found` changes
    meanwhile; without a margin they go on to the end."""
    plan = max((e.looks for e in found.values()), key=len, default=())
    for n in plan[:-1]:
        judged = {name: e.right for name, e in found.items() if e.failure is None}
        slow = [name for name in judged if found[name].looks == plan and found[name].n == n]
        if slow and margin is not None:
            done = looks.settled(judged, slow, plan, margin)
            slow = [name for name in slow if name not in done]
        yield from slow


def _more(known: Evaluation, artifact: Artifact, asker: _Asker) -> Evaluation:
    """With the answers up to the next look."""
    rows = known.n, next(n for n in known.looks if n > known.n)
    try:
        answers = asker.ask(artifact, TEST, rows, artifact.shown)
        labels = asker.labels(TEST)[rows[0] : rows[1]]
        return scores.joined(known, scores.filled(known, artifact, answers, labels))
    except MeasurementError as error:
        return msgspec.structs.replace(known, failure=error.failure)


def _cached(path: Path) -> Evaluation | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evaluation)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # a damaged entry is answered again and overwritten


# --- one artifact ----------------------------------------------------------------------------


class _Asker:
    """Asks artifacts about the images of one data set, which are read when first needed."""

    def __init__(self, dataset: Dataset, scratch: Path, logs: Path, worker: Path) -> None:
        self.dataset, self._scratch, self._logs, self._worker = dataset, scratch, logs, worker
        self._grey: dict[Split, tuple[Path, NDArray[Any]]] = {}
        self._coloured: dict[Split, Path | None] = {}
        self.tell: Callable[[str], None] = lambda far: None

    def labels(self, split: Split) -> list[int]:
        """Of every image of a split."""
        return [int(label) for label in self._greys(split)[1]]

    def ask(
        self, artifact: Artifact, split: Split, rows: tuple[int, int], as_: Pixels
    ) -> scores.Answers:
        """The answers to the images from `rows[0]` up to `rows[1]`; raises MeasurementError."""
        self.tell("")
        count, pace = rows[1] - rows[0], Pace()
        (tensor,) = artifact.inputs
        timeout_s = max(_LEAST_TIMEOUT_S, _TIMEOUT_PER_EXAMPLE_S * (rows[1] - rows[0]))
        request = {
            "model": artifact.path,
            "runtime": RUNTIME,
            "threads": processors.usable(),
            "signature": artifact.signature,
            "resources": artifact.keeps_resources,
            "images": str(self._images(artifact, split)),
            "rows": rows,
            "tensor": msgspec.to_builtins(tensor),
            "pixels": msgspec.to_builtins(as_),
            "harness": str(HARNESS),
        }
        result = worker_process.ask(
            request,
            log=self._logs / f"{artifact.sha256[:12]}.log",
            timeout_s=timeout_s,
            worker=self._worker,
            told=lambda done: self.tell(f"{done:,} of {count:,}{pace.left(done, count)}"),
            if_slow="give fewer test images, or leave the variant out",
        )
        try:
            answers = msgspec.convert(result, scores.Answers)
        except msgspec.ValidationError as error:
            raise WorkerError("answers", f"the worker gave no usable answer: {error}") from None
        return scores.as_probabilities(answers) if artifact.answers == "logits" else answers

    def _images(self, artifact: Artifact, split: Split) -> Path:
        """In colour for a file of the user's that takes it; networks trained here know greys."""
        (tensor,) = artifact.inputs
        if artifact.model is None and tensor.shape[3] == 3:
            if split not in self._coloured:
                colours = self.dataset.colours(split)
                self._coloured[split] = None if colours is None else self._file(colours)
            if coloured := self._coloured[split]:
                return coloured
        return self._greys(split)[0]

    def _greys(self, split: Split) -> tuple[Path, NDArray[Any]]:
        if split not in self._grey:
            images, labels = self.dataset.arrays(split)
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


def _evaluated(
    empty: Evaluation, artifact: Artifact, asker: _Asker, most: int | None, *, in_looks: bool
) -> Evaluation:
    """All answers or, of a slow artifact, those up to the first look."""
    split: Split = TEST if empty.split == TEST else VALIDATION
    try:
        _refuse_what_takes_no_picture(artifact)
        labels = asker.labels(split)[:most]
        if not labels:
            raise MeasurementError("images", f"the {split} split is empty", "add images")
        empty = msgspec.structs.replace(empty, of=len(labels))
        plan = looks.at(len(labels)) if in_looks else (len(labels),)
        answers = asker.ask(artifact, split, (0, plan[0]), artifact.shown)
        each_ns = answers.inference_ns / plan[0]
        found = scores.filled(empty, artifact, answers, labels[: plan[0]])
        if len(plan) > 1 and each_ns * len(labels) > EXPENSIVE_S * 1e9:
            found = msgspec.structs.replace(found, looks=plan)
        elif len(plan) > 1:
            rest = asker.ask(artifact, split, (plan[0], len(labels)), artifact.shown)
            more = scores.filled(empty, artifact, rest, labels[plan[0] :])
            found = scores.joined(found, more)
        if artifact.shown.source != "assumed" or split == VALIDATION:
            return found
        return msgspec.structs.replace(found, tried=_tried(empty, artifact, asker, each_ns))
    except MeasurementError as error:
        causes.tell(error)
        return msgspec.structs.replace(empty, failure=error.failure)


def _refuse_what_takes_no_picture(artifact: Artifact) -> None:
    from harness.data.inputs import takes_pictures

    if len(artifact.inputs) != 1 or len(artifact.outputs) != 1:
        counts = f"{len(artifact.inputs)} inputs and {len(artifact.outputs)} outputs"
        raise MeasurementError("model", f"it has {counts}, not one of each")
    (tensor,), (output,) = artifact.inputs, artifact.outputs
    if output.dtype == "string":
        raise MeasurementError("model", f"its output {output.name!r} is text, not scores")
    if not takes_pictures(tensor):
        shape = "x".join(map(str, tensor.shape))
        raise MeasurementError("images", f"its input {shape} {tensor.dtype} is not a picture")


def _tried(
    empty: Evaluation, artifact: Artifact, asker: _Asker, each_ns: float
) -> tuple[Tried, ...]:
    """What other pixels do on images of the validation split, the assumed ones first."""
    labels = asker.labels(VALIDATION)
    channels = artifact.inputs[0].shape[3]
    others = [named(name, "assumed") for name in KNOWN if name != "imagenet" or channels == 3]
    ways = [artifact.shown, *(o for o in others if o.name != artifact.shown.name)]
    most = int(TRIED_S * 1e9 / max(each_ns * len(ways), 1.0))
    n = min(len(labels), MOST_TRIED, max(most, LEAST_TRIED))
    if not n:
        return ()
    right: list[list[bool]] = []
    for pixels in ways:
        answers = asker.ask(artifact, VALIDATION, (0, n), pixels)
        right.append(scores.filled(empty, artifact, answers, labels[:n]).right)
    return tuple(
        Tried(
            pixels=pixels,
            n=n,
            right=sum(mine),
            only_so=sum(a and not b for a, b in zip(mine, right[0], strict=True)),
            only_as_assumed=sum(b and not a for a, b in zip(mine, right[0], strict=True)),
        )
        for pixels, mine in zip(ways, right, strict=True)
    )
