"""One more row for each int8 artifact that lost accuracy by rounding: int8-mixed, which keeps the
layers with the largest errors in float. Validation images decide whether accuracy was lost, so that
no test image decides what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from harness.core import units
from harness.core.errors import HarnessError
from harness.core.types import Artifact, Evaluation, Finding
from harness.measure import evaluate, prepare
from harness.project.request import Job
from harness.stats import accuracy, paired_loss
from harness.system import causes
from harness.system.cache_use import cache_in_use
from harness.system.progress import Narrator

RECIPE = "int8-mixed"
# At most this many validation images are answered: a network that int8 breaks shows it soon.
MOST_ASKED = 200
_ALPHA = 0.05


class Added(NamedTuple):
    """The new rows, and why one is missing."""

    artifacts: dict[str, Artifact]
    findings: tuple[Finding, ...]


NOTHING = Added({}, ())


def added(
    job: Job, artifacts: Mapping[str, Artifact], parents: Mapping[str, Artifact], narrator: Narrator
) -> Added:
    """int8-mixed for the int8 artifacts that lose more than the margin against their float
    `parents`, which may also be among `artifacts`. None without labelled images."""
    rows: dict[str, Artifact] = {}
    findings: list[Finding] = []
    for name, source, lost in _broken(job, {**parents, **artifacts}, set(artifacts), narrator):
        row = f"{source.variant}-{RECIPE}"
        if row in rows or row in artifacts:
            continue
        try:
            found = _made(job, source)
        except HarnessError as error:
            causes.tell(error)
            findings.append(
                Finding(
                    level="warning",
                    code="mixed-missing",
                    message=f"{name} {lost}, and {RECIPE} cannot be made: {error.message}",
                    fix=error.fix,
                )
            )
            continue
        why = Finding(level="info", code="mixed-added", message=f"{name} {lost}")
        rows[row] = msgspec.structs.replace(found, findings=(*found.findings, why))
        narrator.say(f"{name} {lost}: {row} is measured, too")
        prepare.first_words(job, narrator)(rows[row])
    return Added(rows, tuple(findings))


def _broken(
    job: Job, known: Mapping[str, Artifact], measured: set[str], narrator: Narrator
) -> list[tuple[str, Artifact, str]]:
    """(int8 artifact, its float parent, how much it loses) of each that loses over the margin."""
    if job.dataset is None:
        return []
    parent_of = {
        name: artifact.float_parent
        for name, artifact in known.items()
        if name in measured and (artifact.recipe or "").rpartition("+")[2] == "int8"
    }
    pairs = {name: parent for name, parent in parent_of.items() if parent and parent in known}
    asked = dict.fromkeys([*pairs, *pairs.values()])
    found = {
        evaluation.variant: evaluation
        for evaluation in evaluate.evaluate(
            {name: known[name] for name in asked},
            job.dataset,
            cache=cache_in_use(),
            brought=job.request.data is not None,
            decide=False,
            split=evaluate.VALIDATION,
            most=MOST_ASKED,
            progress=narrator.trying,
        )
        if evaluation.failure is None
    }
    return [
        (name, known[parent], _lost(found[name], found[parent]))
        for name, parent in pairs.items()
        if name in found
        and parent in found
        and _loss(found[name], found[parent]) > job.max_accuracy_loss
    ]


def _loss(mine: Evaluation, theirs: Evaluation) -> float:
    """How much more accurate the second is, as a share."""
    before, after = (accuracy.accuracy(e.right).point for e in (theirs, mine))
    return before - after


def _lost(mine: Evaluation, theirs: Evaluation) -> str:
    pairs = list(zip(mine.right, theirs.right, strict=True))
    lost, gained = pairs.count((False, True)), pairs.count((True, False))
    least = float(paired_loss.lower(lost, gained, len(pairs), _ALPHA)[0])
    return (
        f"loses {units.significant(100 * _loss(mine, theirs), 2)} points of accuracy against "
        f"{theirs.variant} (at least {units.significant(100 * max(least, 0.0), 2)} with 95 % "
        f"confidence, {len(pairs)} validation images)"
    )


def _made(job: Job, source: Artifact) -> Artifact:
    from harness.artifacts import representative
    from harness.artifacts.quantize.parent import quantized

    assert job.dataset is not None
    images = representative.of_dataset(job.dataset, colours=source.model is None)
    return quantized(source, RECIPE, cache_dir=cache_in_use(), representative=images)
