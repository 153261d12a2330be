"""What a device answered to test images, from raw outputs to Evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, prod

import msgspec

from harness.analysis import scores
from harness.analysis.losses import Losses, losses_of
from harness.core.errors import MeasurementError
from harness.core.types import (
    Artifact,
    Case,
    DeviceAnswers,
    DeviceImages,
    Evaluation,
    Failure,
    Loss,
    Report,
    TensorInfo,
)


def output_bytes(artifact: Artifact) -> int:
    """The size of all outputs of one inference."""
    import numpy as np

    return sum(prod(t.shape) * np.dtype(t.dtype).itemsize for t in artifact.outputs)


def evaluation_of(
    case: Case, artifact: Artifact, images: DeviceImages, parts: Iterable[DeviceAnswers]
) -> Evaluation:
    """The answers of one case to the images that were asked of it, as far as they came. It has a
    failure if none came, or if they are not scores of the classes."""
    raw, failure = joined(parts)
    n = len(raw) // output_bytes(artifact)
    empty = Evaluation(
        variant=case.variant,
        sha256=artifact.sha256,
        dataset=images.dataset,
        split="test",
        fingerprint=images.fingerprint,
        runtime=case.runtime,
        classes=images.classes,
        pixels=artifact.shown,
        of=len(images.rows),
        case=case.id,
        rows_of_split=images.rows[:n],
    )
    if not n:
        return msgspec.structs.replace(empty, failure=failure or _NOT_ASKED)
    answered = _real(raw, artifact.outputs[0], n)
    if artifact.answers == "logits":
        answered = _as_probabilities(answered)
    try:
        found = scores.filled(empty, artifact, answered, images.truth[:n])
    except MeasurementError as error:
        return msgspec.structs.replace(empty, failure=error.failure)
    return msgspec.structs.replace(found, broke_off=failure)


_NOT_ASKED = Failure(
    stage="answers",
    transient=True,
    message="the run ended before it was asked",
    fix="go on with --resume",
)


def joined(parts: Iterable[DeviceAnswers]) -> tuple[bytes, Failure | None]:
    """All raw answers, and why no more came; None if answers came after the last failure."""
    raw, failure = b"", None
    for part in parts:
        raw, failure = raw + part.raw, part.failure
    return raw, failure


def _real(raw: bytes, output: TensorInfo, n: int) -> scores.Answers:
    """Dequantized, as the host tells its own answers."""
    import numpy as np

    values = np.frombuffer(raw, output.dtype).astype(np.float64)
    if output.scale:
        values = (values - (output.zero_point or 0)) * output.scale
    return scores.Answers(
        scores=values.tolist(), width=len(values) // n, step=float(output.scale or 0)
    )


def _as_probabilities(answers: scores.Answers) -> scores.Answers:
    """Rows that are not finite stay not finite."""
    width = answers.width
    rows = [answers.scores[at : at + width] for at in range(0, len(answers.scores), width)]
    known = [row for row in rows if all(map(isfinite, row))]
    told = scores.as_probabilities(
        msgspec.structs.replace(answers, scores=[value for row in known for value in row])
    )
    left = iter(told.scores)
    values = [next(left) if all(map(isfinite, row)) else float("nan") for row in rows for _ in row]
    return msgspec.structs.replace(told, scores=values)


def losses_on_devices(report: Report) -> dict[str, Losses]:
    """By device that answered test images, the losses of its cases by their ids. Untrained
    artifacts have none."""
    devices = {case.id: case.device for case in _cases(report)}
    untrained = {a.variant for a in report.artifacts if a.trained is False}
    found: dict[str, list[Evaluation]] = {}
    for e in report.device_evaluations:
        if e.case in devices and e.failure is None and e.variant not in untrained:
            mine = found.setdefault(devices[e.case], [])
            mine.append(msgspec.structs.replace(e, variant=e.case))
    return {name: losses_of(mine, (), report.plan.protect) for name, mine in found.items()}


def losses_of_cases(report: Report) -> dict[str, Loss]:
    """The loss of each case by its id, as far as it is known. It is computed from the device's
    answers if the device was asked, else from the host's."""
    on_host = losses_of(report.evaluations, report.artifacts, report.plan.protect).by_variant
    on_device = losses_on_devices(report)
    found = {}
    for case in _cases(report):
        mine = on_device.get(case.device)
        loss = on_host.get(case.variant) if mine is None else mine.by_variant.get(case.id)
        if loss is not None:
            found[case.id] = loss
    return found


def _cases(report: Report) -> Sequence[Case]:
    return [case.case for case in report.cases] or report.plan.cases
