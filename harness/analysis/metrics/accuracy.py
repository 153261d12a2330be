"""Accuracy of an artifact on the labelled test images, and its agreement with its float parent.

Intervals are over images.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.analysis.metrics import Metric, absent, estimated, exact
from harness.core.types import (
    Agreement,
    Estimate,
    Evaluation,
    Evidence,
    Loss,
    Measurement,
    MetricSpec,
)
from harness.stats import accuracy
from harness.stats.mean_auc import mean_auc

NO_IMAGE_OF_A_CLASS = "the test split has no image of one of the classes"
NO_PROBABILITIES = "its scores are not probabilities"

# Share of the test images that the artifact decides as labelled.
ACCURACY = MetricSpec(
    name="accuracy",
    unit="1",
    direction="higher",
    title="accuracy",
    labelled=True,
    place=150,
    importance=6,
    headline=True,
    key_figure=True,
)

# How much less accurate it is than the best variant measured (or how much less of what else is
# protected it has). The upper end of its interval decides the verdict.
LOSS = MetricSpec(
    name="loss",
    unit="1",
    direction="lower",
    title="loss of accuracy",
    gated=False,
    optional=True,
    labelled=True,
    bound=True,
    head="may lose",
    place=155,
    importance=5,
)

# Mean over the classes of the share of their images that is decided as labelled: a class weighs
# the same however many images it has.
BALANCED_ACCURACY = MetricSpec(
    name="balanced_accuracy",
    unit="1",
    direction="higher",
    title="balanced accuracy",
    gated=False,
    labelled=True,
    head="balanced acc.",
    place=160,
)

# Area under the ROC curve: how well the scores rank, wherever the threshold is put.
AUC = MetricSpec(
    name="auc",
    unit="1",
    direction="higher",
    title="ROC AUC",
    gated=False,
    labelled=True,
    place=170,
    importance=21,
)

# Mean of -ln(score of the label): large for answers that are confident and wrong.
LOG_LOSS = MetricSpec(
    name="log_loss",
    unit="1",
    direction="lower",
    title="log loss",
    gated=False,
    labelled=True,
    place=180,
)

# Expected calibration error: how far confidence is from the share of right answers.
CALIBRATION_ERROR = MetricSpec(
    name="calibration_error",
    unit="1",
    direction="lower",
    title="calibration",
    gated=False,
    labelled=True,
    place=190,
)

# Share of the test images on which an artifact decides as its float parent does.
AGREEMENT = MetricSpec(
    name="agreement",
    unit="1",
    direction="higher",
    title="agreement",
    gated=False,
    labelled=True,
    place=200,
    importance=22,
)

# The largest difference between an artifact's score of a class and its float parent's. Scores go
# from 0 to 1.
AGREEMENT_LARGEST = MetricSpec(
    name="agreement_largest",
    unit="1",
    direction="lower",
    title="largest difference from the float parent",
    exact=True,
    gated=False,
    optional=True,
    labelled=True,
    head="largest off",
    place=201,
)

# The mean difference between an artifact's scores and its float parent's.
AGREEMENT_MEAN = MetricSpec(
    name="agreement_mean",
    unit="1",
    direction="lower",
    title="mean difference from the float parent",
    exact=True,
    gated=False,
    optional=True,
    labelled=True,
    head="mean off",
    place=202,
)


def _labelled(spec: MetricSpec, estimate: Callable[[Evaluation], Estimate | float | str]) -> Metric:
    """The metric that `estimate` makes of an evaluation: with an interval, without one, or a text
    that says why it is absent."""

    def extract(evidence: Evidence) -> Measurement:
        evaluation = evidence.evaluation
        if evaluation is None or evaluation.failure is not None:
            return absent(spec, why_not(evidence))
        found = estimate(evaluation)
        if isinstance(found, str):
            return absent(spec, found)
        if isinstance(found, Estimate):
            return estimated(spec, found)
        return Measurement(
            unit=spec.unit,
            point=found,
            n=evaluation.n,
            absent={"ci": "no interval is known for it"},
        )

    return Metric(spec, extract)


def why_not(evidence: Evidence) -> str:
    """Why the artifact has no evaluation that could be used."""
    if evidence.artifact.trained is False:
        return "untrained: its answers are meaningless"
    if evidence.evaluation is not None and evidence.evaluation.failure is not None:
        return f"it could not be evaluated: {evidence.evaluation.failure.message}"
    if evidence.artifact.model is None:
        return "no labelled images for a file you brought; --data DIR gives them"
    return "no labelled images; --data DIR gives them"


def _accuracy(evaluation: Evaluation) -> Estimate:
    """Wilson's interval."""
    return accuracy.accuracy(evaluation.right)


def _balanced(evaluation: Evaluation) -> Estimate | str:
    """The recalls' Wilson intervals, combined in quadrature."""
    return accuracy.balanced_accuracy(evaluation.confusion) or NO_IMAGE_OF_A_CLASS


def _auc(evaluation: Evaluation) -> Estimate | str:
    """ROC AUC of two classes; with more classes, the mean of each class against the rest."""
    if len(evaluation.classes) == 2:
        positive = [label == 1 for label in evaluation.truth]
        area = accuracy.auc([row[1] for row in evaluation.rows], positive)
    else:
        area = mean_auc(evaluation.rows, evaluation.truth, len(evaluation.classes))
    return NO_IMAGE_OF_A_CLASS if area is None else area


def _log_loss(evaluation: Evaluation) -> Estimate | str:
    """The normal interval of a mean."""
    rows = evaluation.rows
    if not accuracy.are_probabilities(rows):
        return NO_PROBABILITIES
    return accuracy.log_loss(rows, evaluation.truth, evaluation.step) or "one image has no spread"


def _calibration_error(evaluation: Evaluation) -> float | str:
    """Expected calibration error over ten bins of equal width; it has no interval."""
    rows = evaluation.rows
    if not accuracy.are_probabilities(rows):
        return NO_PROBABILITIES
    error = accuracy.calibration_error(rows, evaluation.truth)
    least = accuracy.LEAST_FOR_CALIBRATION
    return f"{evaluation.n} images are too few; {least} are enough" if error is None else error


def _agreement(evidence: Evidence) -> Measurement:
    """Wilson's interval."""
    parent = evidence.artifact.float_parent
    if parent is None:
        return absent(AGREEMENT, "it has no float parent")

    def share(evaluation: Evaluation) -> Estimate | str:
        found = evaluation.agreement
        if found is None:
            return f"its float parent {parent} was not evaluated"
        return accuracy.wilson(found.equal, found.n)

    return _labelled(AGREEMENT, share).extract(evidence)


def _loss(evidence: Evidence) -> Measurement:
    found = evidence.loss
    return absent(LOSS, why_not(evidence)) if found is None else loss_measurement(found)


def loss_measurement(found: Loss) -> Measurement:
    """A loss as a metric. Its lower and its upper limit each hold for all variants together with
    95 % confidence."""
    return Measurement(
        unit=LOSS.unit,
        point=found.point,
        ci_low=found.at_least,
        ci_high=found.bound,
        confidence=0.95,
        n=found.n,
    )


def _difference(spec: MetricSpec, pick: Callable[[Agreement], float]) -> Metric:
    """A difference of scores that the evaluation holds."""

    def extract(evidence: Evidence) -> Measurement:
        found = evidence.evaluation.agreement if evidence.evaluation else None
        return exact(pick(found) if found else None, spec, "no float parent was evaluated")

    return Metric(spec, extract)


METRICS = (
    _labelled(ACCURACY, _accuracy),
    Metric(LOSS, _loss),
    _labelled(BALANCED_ACCURACY, _balanced),
    _labelled(AUC, _auc),
    _labelled(LOG_LOSS, _log_loss),
    _labelled(CALIBRATION_ERROR, _calibration_error),
    Metric(AGREEMENT, _agreement),
    _difference(AGREEMENT_LARGEST, lambda found: found.largest),
    _difference(AGREEMENT_MEAN, lambda found: found.mean),
)
