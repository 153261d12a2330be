"""What a run on the demo images must show; shared by CI and `seeds.py`."""

from __future__ import annotations

from harness.analysis.candidates import Candidate, candidates_of
from harness.core.types import Report

BASELINE, FROM_NOTHING = "vgg16", "scratch"
ANSWERS = ("lite0-gray-int8", "lite0-cut-gray-int8")
SMALLER, FASTER = 40, 40
# What learning from few images alone costs at least, as a share.
GAP = 0.03


def shortcomings(report: Report) -> list[str]:
    """Which of these claims do not hold: a grey transfer network has the star, it is much smaller
    and faster than VGG16, and the network trained from nothing is shown to lose accuracy."""
    named = {c.case.variant: c for c in candidates_of(report) if c.right is not None}
    if missing := {BASELINE, FROM_NOTHING, *ANSWERS} - set(named):
        return [f"the accuracy of {' and '.join(sorted(missing))} is not known"]
    verdict, margin = report.verdict, report.plan.max_accuracy_loss
    star = verdict.recommended if verdict else None
    if verdict is None or star not in ANSWERS:
        return [f"the star is for {star or 'nothing'}, not for {' or '.join(ANSWERS)}"]
    wrong = []
    if verdict.losses[star].bound > margin:
        wrong.append(f"{star} has a star and may lose more than the margin")
    for metric, least in (("size", SMALLER), ("latency", FASTER)):
        found = _times(named[BASELINE], named[star], metric)
        if found < least:
            wrong.append(f"{star} has {found:.1f} times less {metric} than {BASELINE}, not {least}")
    lost = verdict.losses[FROM_NOTHING].at_least
    if lost < GAP:
        wrong.append(
            f"{FROM_NOTHING} is shown to lose {lost * 100:.1f} points at least, not {GAP * 100:.0f}"
        )
    return wrong


def _times(big: Candidate, small: Candidate, metric: str) -> float:
    """How many times smaller; 0 where it is not known."""
    theirs, own = big.point(metric), small.point(metric)
    return theirs / own if theirs and own else 0.0
