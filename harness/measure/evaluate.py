"""Accuracy of an artifact: the .tflite file itself answers every image of the test split.

In a child process per artifact, before anything is timed, so that it touches no latency: on all
cores of this machine, or at the hosts of a lab. Every artifact reads the images from the same
arrays, which the data set keeps in the cache. Answers are kept in the cache by the content of the
artifact, of the split and the version of the runtime; if an artifact crashes or cannot take the
images, only its own accuracy is missing.

If the pixel range of a user's file had to be assumed, images of the validation split are also given
in other ranges, so that a better one can be reported.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from harness.analysis import looks, scores
from harness.core.errors import MeasurementError, UsageError
from harness.core.pixels import KNOWN, named
from harness.core.specs import HostSpec
from harness.core.types import Artifact, Evaluation, Tried
from harness.devices.host.target import INTERPRETER, runtime_version
from harness.measure.questions import (
    WORKER,
    Answerer,
    Asking,
    Here,
    Images,
    Question,
    Split,
    Steps,
)
from harness.stats import accuracy
from harness.system import causes, files

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

# Part of every key of the cache: raise it whenever the same inputs give other answers.
VERSION = 5
TEST: Split = "test"
VALIDATION: Split = "validation"
# Other pixel ranges are tried on at most this many images, and for about this long in total.
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
        """The names of the classes, at least two."""

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
    parents: Mapping[str, Artifact] = MappingProxyType({}),
    progress: Callable[[str, int, int, str], None] = lambda variant, done, total, far: None,
    worker: Path = WORKER,
    at_lab: Answerer | None = None,
) -> tuple[Evaluation, ...]:
    """An Evaluation per artifact, in their order; one that failed says so in it. Untrained
    artifacts are left out, since their answers mean nothing, and unless `brought` so are files that
    the user brought, whose classes may be others. Agreement is with the float parent where that is
    among `artifacts` or `parents`. `progress` is called with (variant, done, total, how far this
    one is).

    `parents` are float parents that are not measured themselves. Their Evaluations come last. They
    decide nothing, and answer up to the second look (slow ones up to the first).

    With a `margin`, the accuracy that may be lost, a slow artifact answers a part of the images
    first and then, if the answers are to `decide`, goes on until its part in the decision is
    settled (`harness/analysis/looks.py`). Without one every artifact answers all images of the
    `split`, or the first of them where `most` says how many. The hosts of a lab answer if `at_lab`
    is given; what they are asked is decided here.

    Raises UsageError if the cache cannot be written to.
    """
    chosen = {
        name: a
        for name, a in {**artifacts, **parents}.items()
        if a.trained is not False and (brought or a.model is not None)
    }
    runtime = f"{INTERPRETER} {runtime_version(INTERPRETER, HostSpec())}"
    found: dict[str, Evaluation] = {}
    numbers = {name: number for number, name in enumerate(chosen)}

    def tell(name: str, far: str) -> None:
        progress(name, numbers[name], len(chosen), far)

    try:
        folder = cache / "evaluations"
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        # This machine answers what the lab does not.
        answerers: list[Answerer] = [] if at_lab is None else [at_lab]
        answerers.append(Here(folder / "logs", worker))
        with tempfile.TemporaryDirectory(dir=folder, prefix=".images-") as scratch:
            images = Images(dataset, Path(scratch))
            paths: dict[str, Path] = {}

            def keep(name: str, evaluation: Evaluation) -> None:
                _keep(paths[name], evaluation)
                for same in (other for other in paths if paths[other] == paths[name]):
                    found[same] = msgspec.structs.replace(evaluation, variant=same)

            askings: dict[str, Asking] = {}
            for name, artifact in chosen.items():
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
                only_beside = name in parents
                path = folder / f"{_key(empty, artifact, most, only_beside=only_beside)}.json"
                if (known := _cached(path)) is not None:
                    found[name] = msgspec.structs.replace(known, variant=name)
                elif path not in paths.values():  # else another artifact shares the file
                    in_looks = margin is not None
                    steps = _evaluated(
                        empty, artifact, images, most, in_looks=in_looks, only_beside=only_beside
                    )
                    askings[name] = Asking(artifact, steps)
                paths[name] = path
            for answerer in answerers:
                answerer.answer(askings, images, tell=tell, done=keep)
            for slow in _to_answer_more(found, parents, margin) if decide else ():
                askings = {
                    name: Asking(chosen[name], _more(found[name], chosen[name], images))
                    for name in slow
                }
                for answerer in answerers:
                    answerer.answer(askings, images, tell=tell, done=keep)
    except OSError as error:
        raise UsageError(
            f"cannot write to {cache}: {error.strerror or error}",
            "make room there or make it writable, or set MOBILE_BENCH_CACHE",
        ) from None
    return tuple(_beside_parent(found[name], found, chosen[name]) for name in chosen)


def _beside_parent(
    evaluation: Evaluation, found: Mapping[str, Evaluation], artifact: Artifact
) -> Evaluation:
    parent = found.get(artifact.float_parent or "")
    if parent is None:
        return evaluation
    agreement = accuracy.agreement(evaluation, parent)
    return msgspec.structs.replace(evaluation, agreement=agreement)


def _key(empty: Evaluation, artifact: Artifact, most: int | None, *, only_beside: bool) -> str:
    parts = (VERSION, empty.sha256, empty.split, empty.fingerprint, empty.runtime)
    named = (empty.dataset, empty.classes, artifact.signature, artifact.answers)
    told = (artifact.model is None, artifact.shown, artifact.labels)
    first = () if most is None else (most,)
    part = ("beside",) if only_beside else ()
    return hashlib.sha256(msgspec.json.encode([*parts, *named, *told, *first, *part])).hexdigest()


def _keep(path: Path, evaluation: Evaluation) -> None:
    if evaluation.failure is None:
        files.write_atomic(path, msgspec.json.encode(evaluation))


def _to_answer_more(
    found: Mapping[str, Evaluation], parents: Collection[str], margin: float | None
) -> Iterator[list[str]]:
    """At each look, the artifacts that are to answer up to the next one; float `parents` are not
    among them. `found` changes meanwhile; without a margin they answer all images."""
    plan = max((e.looks for e in found.values()), key=len, default=())
    for n in plan[:-1]:
        judged = {
            name: e.right for name, e in found.items() if e.failure is None and name not in parents
        }
        slow = [name for name in judged if found[name].looks == plan and found[name].n == n]
        if slow and margin is not None:
            done = looks.settled(judged, slow, plan, margin)
            slow = [name for name in slow if name not in done]
        yield slow


def _more(known: Evaluation, artifact: Artifact, images: Images) -> Steps:
    """The evaluation with the answers up to the next look."""
    rows = known.n, next(n for n in known.looks if n > known.n)
    try:
        answers = yield Question(TEST, rows, artifact.shown)
        labels = images.labels(TEST)[rows[0] : rows[1]]
        return scores.joined(known, scores.filled(known, artifact, answers, labels))
    except MeasurementError as error:
        causes.tell(error)
        return msgspec.structs.replace(known, failure=error.failure)


def _cached(path: Path) -> Evaluation | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evaluation)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # a damaged entry is answered again and overwritten


# --- one artifact ----------------------------------------------------------------------------


def _evaluated(
    empty: Evaluation,
    artifact: Artifact,
    images: Images,
    most: int | None,
    *,
    in_looks: bool,
    only_beside: bool,
) -> Steps:
    """All answers or, of a slow artifact, those up to the first look. If the answers are
    `only_beside` another artifact's, to see how far the two agree, they end with the second look:
    part of the images is enough for that, and a float network takes long to answer all of them."""
    split: Split = TEST if empty.split == TEST else VALIDATION
    try:
        _refuse_what_takes_no_picture(artifact)
        labels = images.labels(split)[:most]
        if not labels:
            raise MeasurementError("images", f"the {split} split is empty", "add images")
        empty = msgspec.structs.replace(empty, of=len(labels))
        plan = looks.at(len(labels)) if in_looks or only_beside else (len(labels),)
        first, last = plan[0], plan[:2][-1] if only_beside else len(labels)
        answers = yield Question(split, (0, first), artifact.shown)
        each_ns = answers.inference_ns / first
        found = scores.filled(empty, artifact, answers, labels[:first])
        if first < last and each_ns * len(labels) > EXPENSIVE_S * 1e9:
            found = msgspec.structs.replace(found, looks=() if only_beside else plan)
        elif first < last:
            rest = yield Question(split, (first, last), artifact.shown)
            more = scores.filled(empty, artifact, rest, labels[first:last])
            found = scores.joined(found, more)
        if artifact.shown.source != "assumed" or split == VALIDATION:
            return found
        tried = yield from _tried(empty, artifact, images, each_ns)
        return msgspec.structs.replace(found, tried=tried)
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
    empty: Evaluation, artifact: Artifact, images: Images, each_ns: float
) -> Generator[Question, scores.Answers, tuple[Tried, ...]]:
    """The accuracy with other pixel ranges on images of the validation split, the assumed range
    first."""
    labels = images.labels(VALIDATION)
    channels = artifact.inputs[0].shape[3]
    others = [named(name, "assumed") for name in KNOWN if name != "imagenet" or channels == 3]
    ways = [artifact.shown, *(o for o in others if o.name != artifact.shown.name)]
    most = int(TRIED_S * 1e9 / max(each_ns * len(ways), 1.0))
    n = min(len(labels), MOST_TRIED, max(most, LEAST_TRIED))
    if not n:
        return ()
    right: list[list[bool]] = []
    for pixels in ways:
        answers = yield Question(VALIDATION, (0, n), pixels)
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
