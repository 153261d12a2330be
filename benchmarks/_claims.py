"""What a run on the demo images must show; shared by CI and `seeds.py`."""

from __future__ import annotations

from harness.analysis.candidates import Candidate, candidates_of
from harness.core.types import Report

BASELINE = "vgg16"
SCRATCH_AT_LEAST, SMALLER, FASTER = 0.9, 20, 10


def shortcomings(report: Report) -> list[str]:
    """What does not hold of the scratch network, of the verdict, and of there being a variant much
    smaller and much faster than VGG16 that is not shown to lose more than the margin."""
    named = {c.case.variant: c for c in candidates_of(report) if c.right is not None}
    if missing := {BASELINE, "scratch"} - set(named):
        return [f"nothing is known of the accuracy of {' and '.join(sorted(missing))}"]
    wrong = []
    if named["scratch"].score < SCRATCH_AT_LEAST:
        wrong.append(f"scratch is right in {named['scratch'].score:.3f} of the test images")
    if not winners(report):
        wrong.append(f"nothing is {SMALLER}x smaller, {FASTER}x faster and within the margin")
    verdict, margin = report.verdict, report.plan.max_accuracy_loss
    if verdict is None or verdict.decision not in ("recommended", "undecided"):
        wrong.append("the verdict has neither a recommendation nor a candidate")
    elif verdict.recommended and verdict.losses[verdict.recommended].bound > margin:
        wrong.append(f"{verdict.recommended} has a star and may lose more than the margin")
    return wrong


def winners(report: Report) -> list[Candidate]:
    """Those much smaller and faster than VGG16 and not shown to lose more than the margin."""
    judged = [c for c in candidates_of(report) if c.right is not None]
    big = next(c for c in judged if c.case.variant == BASELINE)
    return [
        c
        for c in judged
        if _times(big, c, "size") >= SMALLER
        and _times(big, c, "latency") >= FASTER
        and c.may_keep(report.plan.max_accuracy_loss)
    ]


def _times(big: Candidate, small: Candidate, metric: str) -> float:
    """How many times smaller; 0 where it is not known."""
    theirs, own = big.point(metric), small.point(metric)
    return theirs / own if theirs and own else 0.0
