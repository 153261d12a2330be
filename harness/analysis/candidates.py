"""The candidates of a verdict, and how two of them differ in cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.analysis.losses import Losses, losses_of
from harness.analysis.metric_specs import specs
from harness.analysis.on_device import losses_on_devices
from harness.core import units
from harness.core.text import listed
from harness.core.types import CaseReport, Cost, Loss, Measurement, Prefer, Report
from harness.stats import accuracy

LONGEST_NAME = 60
_FAILED = "it could not be evaluated"

# Ratios within this factor are not mentioned.
ALIKE = 1.05


# --- who takes part --------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A case and its answers. `name` is how the verdict calls it, `right` says which test images
    were decided as labelled, and `loss` bounds its loss of accuracy. `right` and `loss` are None
    if they are not known, and `why_not` says why. `judged_as` is its name in the losses: the
    variant or, where the device itself answered the images, the case's id."""

    name: str
    case: CaseReport
    right: tuple[bool, ...] | None
    loss: Loss | None = None
    why_not: str = ""
    judged_as: str = ""

    def keeps(self, margin: float) -> bool:
        """Whether it is shown to lose no more than the margin."""
        return self.loss is not None and self.loss.bound <= margin

    def may_keep(self, margin: float) -> bool:
        """Whether it may lose no more than the margin: a larger loss is not shown."""
        return self.loss is not None and self.loss.at_least <= margin

    @property
    def id(self) -> str:
        """The id of the case."""
        return self.case.case.id

    @property
    def label(self) -> str:
        """The name as it can stand in a sentence."""
        return _short(self.name)

    @property
    def variant(self) -> str:
        """The variant as it can stand in a sentence."""
        return _short(self.case.variant)

    def metric(self, name: str) -> Measurement | None:
        """The metric if it has a point."""
        found = self.case.metrics.get(name)
        return None if found is None or found.point is None else found

    def point(self, name: str) -> float | None:
        """The point of a metric that is known."""
        found = self.metric(name)
        return None if found is None else found.point

    @property
    def score(self) -> float:
        """Accuracy on the test images; 0 if it is not known."""
        return sum(self.right) / len(self.right) if self.right else 0.0


def _short(name: str) -> str:
    text = units.name(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def candidates_of(report: Report, losses: Losses | None = None) -> list[Candidate]:
    """The report's cases in its order. Accuracies are compared on the same examples: the first case
    with answers sets them, and the accuracy of a case that answered others counts as unknown."""
    if losses is None:
        losses = losses_of(report.evaluations, report.artifacts, report.plan.protect)
    trained = {a.variant: a.trained for a in report.artifacts}
    first = next((e for e in report.evaluations if e.failure is None), None)
    known = {
        e.variant: (tuple(e.right), "")
        if first and accuracy.examples_of_both(e, first)
        else (None, _FAILED)
        for e in report.evaluations
    }
    on_device = losses_on_devices(report)
    answered = {e.case: tuple(e.right) for e in report.device_evaluations if e.failure is None}
    settings: dict[str, set[tuple[str, str, int, str]]] = {}
    for case in report.cases:
        settings.setdefault(case.device, set()).add(_setting(case))
    found = []
    for case in report.cases:
        right, why = known.get(case.variant, (None, "no labelled images"))
        if trained.get(case.variant) is False:
            right, why = None, "untrained"
        name = case.variant if len(settings[case.device]) == 1 else case.case.id
        judged, judged_as = losses, case.variant
        if case.device in on_device:
            judged, judged_as = on_device[case.device], case.case.id
            right, why = answered.get(judged_as), "it did not answer on the device"
        loss = judged.by_variant.get(judged_as)
        if right is not None and loss is None:
            right, why = None, judged.why_none
        found.append(Candidate(name, case, right, loss, why, judged_as))
    return found


def _setting(case: CaseReport) -> tuple[str, str, int, str]:
    return case.runtime, case.delegate, case.threads, case.affinity


# --- the front -------------------------------------------------------------------------------


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is nowhere worse than `b` and better somewhere; lower is better throughout. Goes
    by points, because comparing intervals would not be a strict partial order."""
    pairs = list(zip(a, b, strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def front(points: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """The names that nothing dominates, in the order given."""
    return tuple(
        name
        for name, own in points.items()
        if not any(dominates(other, own) for other in points.values())
    )


# --- accuracy --------------------------------------------------------------------------------


def best_of(judged: Sequence[Candidate]) -> Candidate:
    """The candidate that lost least on these images; of several the most accurate one, then the one
    with the largest file, then the first by name."""

    def rank(c: Candidate) -> tuple[float, float, float, str]:
        return c.loss.point if c.loss else 1.0, -c.score, -(c.point("size") or 0), c.name

    return min(judged, key=rank)


def accuracy_of(c: Candidate) -> str:
    """`0.962 (0.951-0.971)`."""
    return units.share(accuracy.accuracy(c.right or ()))


# --- ratios ----------------------------------------------------------------------------------


def costs() -> dict[str, Cost]:
    """The costs that the verdict weighs, by metric, in reading order."""
    return {name: spec.cost for name, spec in specs().items() if spec.cost is not None}


def costs_of(usable: Sequence[Candidate]) -> tuple[str, ...]:
    """The costs that some candidate has, without those that only take the place of a known one."""
    known = [m for m in costs() if any(c.point(m) is not None for c in usable)]
    return tuple(m for m in known if costs()[m].instead_of not in known)


def preferred(known: Sequence[str], prefer: Prefer) -> tuple[str, ...]:
    """The costs among `known` by which the cheapest is chosen; all of them if the user prefers none
    that is known."""
    return tuple(m for m in known if costs()[m].kind == prefer) or tuple(known)


def reference_of(usable: Sequence[Candidate], c: Candidate) -> Candidate | None:
    """The candidate in the same setting that ratios refer to; None if there is no other."""
    same = [x for x in usable if _setting(x.case) == _setting(c.case)]
    if len(same) < 2:
        return None
    wanted = largest({x.case.variant: x.point("size") or 0 for x in same})
    return next(x for x in same if x.case.variant == wanted)


def largest(sizes: Mapping[str, float]) -> str:
    """The variant that all shown ratios refer to: the one with the largest file, of equal ones the
    first by name. `sizes` (not empty) are bytes by variant."""
    return min(sizes, key=lambda variant: (-sizes[variant], variant))


def differences(c: Candidate, other: Candidate, metrics: Iterable[str]) -> list[str]:
    """The clear differences of `c` from `other`: `74x smaller`, `8 % slower`."""
    said = []
    for name in metrics:
        mine, theirs = c.metric(name), other.metric(name)
        if mine is None or theirs is None or not mine.point or not theirs.point:
            continue
        ratio = theirs.point / mine.point
        if 1 / ALIKE < ratio < ALIKE or _overlap(mine, theirs):
            continue
        factor = max(ratio, 1 / ratio)
        amount = (
            units.times(factor)
            if factor >= 1.5
            else units.percent(abs(mine.point / theirs.point - 1))
        )
        said.append(f"{amount} {costs()[name].better if ratio > 1 else costs()[name].worse}")
    return said


def _overlap(a: Measurement, b: Measurement) -> bool:
    """Whether the intervals have a value in common; exact values have none."""
    if None in (a.ci_low, a.ci_high, b.ci_low, b.ci_high):
        return False
    first, second = a.estimate, b.estimate
    return bool(
        first and second and first.ci_low <= second.ci_high and second.ci_low <= first.ci_high
    )


# --- words -----------------------------------------------------------------------------------


def variants_of(candidates: Iterable[Candidate]) -> set[str]:
    """The items in order, each once."""
    return {c.case.variant for c in candidates}


def names(candidates: Iterable[Candidate]) -> str:
    """`a, b and c`."""
    return listed([c.label for c in candidates])
