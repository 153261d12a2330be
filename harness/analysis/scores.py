"""From what a model answered to an Evaluation: probabilities for logits, scores by class.

Labels, the user's or the file's own, say which score belongs to which class; without labels the
scores are taken in the order of the classes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.core import labels as label_names
from harness.core.errors import MeasurementError
from harness.core.evaluation import packed_labels, packed_scores
from harness.core.pixels import step_of
from harness.core.text import count
from harness.core.types import Artifact, Evaluation
from harness.stats import accuracy, logits


class Answers(msgspec.Struct):
    """What the worker returns."""

    scores: list[float]
    width: int
    step: float
    clipped: int = 0
    numbers: int = 0
    inference_ns: int = 0


def as_probabilities(answers: Answers) -> Answers:
    """Logits as probabilities, which all metrics are about. A step of a logit changes the
    probability by at most a quarter of that step."""
    scores = logits.probabilities(answers.scores, answers.width)
    return msgspec.structs.replace(answers, scores=scores, step=answers.step / 4)


def joined(first: Evaluation, more: Evaluation) -> Evaluation:
    """The evaluation with the answers to the examples that follow."""
    n = first.n + more.n
    saturated = None
    if first.saturated is not None and more.saturated is not None:
        saturated = (first.saturated * first.n + more.saturated * more.n) / n
    rows = zip(first.confusion, more.confusion, strict=True)
    return msgspec.structs.replace(
        first,
        n=n,
        scores=first.scores + more.scores,
        labels=first.labels + more.labels,
        saturated=saturated,
        confusion=tuple(tuple(a + b for a, b in zip(*pair, strict=True)) for pair in rows),
    )


def filled(
    empty: Evaluation, artifact: Artifact, answers: Answers, labels: list[int]
) -> Evaluation:
    """The evaluation with its answers; raises MeasurementError if they cannot be read as scores of
    the classes."""
    answers, scores_of, unused = _by_class(empty, artifact, answers)
    classes = len(empty.classes)
    if answers.width != classes and (answers.width, classes) != (1, 2):
        raise MeasurementError(
            "answers",
            f"it answers with {count(answers.width, 'score')}, and {empty.dataset} has {classes} "
            "classes",
            "evaluate it on images of its own classes, or name its outputs with --labels FILE",
        )
    if answers.width == 1 and any(s < 0 or s > 1 for s in answers.scores):
        raise MeasurementError(
            "answers",
            "its one score is not between 0 and 1, so 0.5 cannot be the threshold",
            "end the model with a sigmoid",
        )
    (tensor,) = artifact.inputs
    holds_all = not step_of(tensor.dtype, tensor.scale)
    found = msgspec.structs.replace(
        empty,
        n=len(labels),
        width=answers.width,
        scores=packed_scores(answers.scores),
        labels=packed_labels(labels),
        step=answers.step,
        saturated=None if holds_all else answers.clipped / max(answers.numbers, 1),
        scores_of=scores_of,
        unused=unused,
    )
    table = accuracy.confusion(found.decisions, labels, classes)
    return msgspec.structs.replace(found, confusion=table)


def _by_class(
    empty: Evaluation, artifact: Artifact, answers: Answers
) -> tuple[Answers, Literal["order", "asked", "metadata"], int]:
    """The scores in the order of the classes, how that order is known, and how many scores are of
    other classes.

    Labels that the user gave must name every class; those of the file are ignored if they do not.
    """
    asked = artifact.labels_asked
    place = label_names.places(artifact.labels, empty.classes)
    if place is None:
        if asked:
            raise MeasurementError(
                "answers",
                f"the labels given name {len(artifact.labels)} outputs, and not every class of "
                f"{empty.dataset}",
                "write the folder names into the file, one per line, in the order of the outputs",
            )
        return answers, "order", 0
    source: Literal["asked", "metadata"] = "asked" if asked else "metadata"
    if answers.width == 1 and len(empty.classes) == len(artifact.labels) == 2:
        scores = answers.scores if place == (0, 1) else [1 - s for s in answers.scores]
        return msgspec.structs.replace(answers, scores=scores), source, 0
    if len(artifact.labels) != answers.width:
        if asked:
            raise MeasurementError(
                "answers",
                f"it answers with {count(answers.width, 'score')}, and the labels given name "
                f"{len(artifact.labels)}",
                "name every output, one per line",
            )
        return answers, "order", 0
    width = answers.width
    scores = [
        answers.scores[row + column]
        for row in range(0, len(answers.scores), width)
        for column in place
    ]
    chosen = msgspec.structs.replace(answers, scores=scores, width=len(place))
    return chosen, source, width - len(place)
