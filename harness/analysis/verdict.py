"""Which variant to ship: budgets, Pareto front, one recommendation with its reason.

The rule, device by device (docs/explanation/verdict.md says why):

1. A case *took part* if it neither failed nor is invalid. A budget is met or missed only if the
   whole interval is. *Feasible* is what meets every budget; if nothing does, what may meet them.
2. A variant *keeps the accuracy* if the upper bound of its loss against the best variant is within
   the margin; it is *open* if its loss may be within the margin or beyond it.
3. Recommended is the cheapest that meets every budget and keeps the accuracy: the lowest geometric
   mean of size, latency and peak RSS, or of the one that the user prefers. The runner-up is found
   in the same way without that variant.
4. If only the most accurate variant keeps the accuracy and a cheaper one is open, or if none does,
   the verdict is undecided, and names the cheapest candidate and the images that would decide. A
   variant that was given up (`analysis/looks.py`) does not make it undecided.

An artifact whose accuracy is not known is never recommended; then the verdict has only the front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis import budget
from harness.analysis.budget import Budget, parse_budget
from harness.analysis.candidates import (
    Candidate,
    accuracy_of,
    best_of,
    candidates_of,
    costs,
    costs_of,
    differences,
    front,
    names,
    preferred,
    reference_of,
    variants_of,
)
from harness.analysis.devices_together import WORST_FIRST, together
from harness.analysis.losses import Losses, losses_of
from harness.analysis.on_device import losses_on_devices
from harness.core import units
from harness.core.text import listed
from harness.core.types import (
    BudgetLine,
    BudgetOutcome,
    CaseReport,
    Decision,
    DeviceVerdict,
    ImagesNeeded,
    MetricSpec,
    Plan,
    Report,
    Verdict,
)
from harness.stats.looks import HARDLY


def judge(report: Report, specs: Mapping[str, MetricSpec]) -> Verdict | None:
    """The verdict on a report, with the budgets of its plan; None if there is nothing to choose:
    no case, or a single variant and no budget. `specs` are the metrics by name."""
    budgets = parse_budget(report.plan.budget, specs) if report.plan.budget else ()
    if not report.cases or (not budgets and len({c.variant for c in report.cases}) < 2):
        return None
    plan = report.plan
    losses = losses_of(report.evaluations, report.artifacts, plan.protect, plan.max_accuracy_loss)
    candidates = candidates_of(report, losses)
    on_device = losses_on_devices(report)
    devices = [
        _Device(
            name,
            [c for c in candidates if c.case.device == name],
            budgets,
            on_device.get(name, losses),
            report.plan,
        ).verdict()
        for name in dict.fromkeys(case.device for case in report.cases)
    ]
    return msgspec.structs.replace(
        together(devices, tuple(_line(b, report.cases) for b in budgets)),
        margin=report.plan.max_accuracy_loss,
        protected=losses.protected.said,
        prefer=report.plan.prefer,
        losses=dict(losses.by_variant),
    )


# --- one device ------------------------------------------------------------------------------


class _Choice(NamedTuple):
    """The outcome of the rule, with its sentences."""

    decision: Decision
    reason: str
    recommended: Candidate | None = None
    second: Candidate | None = None
    second_reason: str = ""
    candidate: Candidate | None = None


class _Device:
    """Everything that is concluded about one device."""

    def __init__(
        self,
        name: str,
        candidates: Sequence[Candidate],
        budgets: Sequence[Budget],
        losses: Losses,
        plan: Plan,
    ) -> None:
        self.name = name
        self.budgets = budgets
        self.losses = losses
        self.margin = plan.max_accuracy_loss
        self.all = candidates
        self.usable = [c for c in candidates if c.case.status not in ("failed", "invalid")]
        self.judged = [c for c in self.usable if c.loss is not None]
        self.costs = costs_of(self.usable)
        self.weighed = preferred(self.costs, plan.prefer)
        self.notes: list[str] = []

    def verdict(self) -> DeviceVerdict:
        """The rule, step by step."""
        state = {c.id: self._state(c) for c in self.usable}
        feasible = [c for c in self.usable if state[c.id] == "met"]
        maybe = [c for c in self.usable if state[c.id] == "undecided"]
        outcome: BudgetOutcome = "met" if feasible else "undecided" if maybe else "missed"
        pareto = self._front()
        self._note_who_is_missing()
        choice = self._choice(feasible, maybe)
        found = choice.candidate
        unclear = found is not None and found.keeps(self.margin)  # it is a budget that is open
        return DeviceVerdict(
            device=self.name,
            reason=choice.reason,
            recommended=choice.recommended.name if choice.recommended else None,
            recommended_case=choice.recommended.id if choice.recommended else None,
            runner_up=choice.second.name if choice.second else None,
            runner_up_reason=choice.second_reason,
            pareto=tuple(c.id for c in pareto),
            pareto_on=self._counts(),
            feasible=tuple(c.id for c in feasible),
            outcome=outcome if self.budgets else None,
            notes=tuple(self.notes),
            decision=choice.decision,
            candidate=found.name if found else None,
            candidate_case=found.id if found else None,
            images=self._images(found) if found and not unclear else None,
            recommended_at=found.loss.bound if found and found.loss and not unclear else None,
        )

    def _state(self, c: Candidate) -> BudgetOutcome:
        """All budgets together."""
        found = {budget.outcome(b, c.metric(b.spec.name)) for b in self.budgets}
        return next((o for o in WORST_FIRST if o in found), "met")

    def _choice(self, feasible: Sequence[Candidate], maybe: Sequence[Candidate]) -> _Choice:
        """The rule."""
        pool = feasible or maybe
        judged = [c for c in pool if c.loss is not None]
        if not judged:
            return _Choice("none", self._nothing_known(feasible, maybe))
        open_ = [c for c in judged if c.may_keep(self.margin) and not c.keeps(self.margin)]
        kept = [c for c in feasible if c.keeps(self.margin)]
        if not kept:
            # What keeps the accuracy, but perhaps not the budgets, is a candidate as well.
            open_ += [c for c in judged if c.keeps(self.margin)]
            return self._undecided(open_) if open_ else _Choice("refused", self._refused(judged))
        chosen = self._cheapest(kept)
        cheaper = [c for c in open_ if self._cheapest([chosen, c]) is c]
        best = best_of(self.judged)
        self._note_given_up(best, [c for c in cheaper if c.judged_as in self.losses.given_up])
        cheaper = [c for c in cheaper if c.judged_as not in self.losses.given_up]
        if cheaper and variants_of(kept) == {best.case.variant}:
            self.notes.append(
                f"only {best.variant} is shown to lose no more than {units.points(self.margin)}"
            )
            return self._undecided(cheaper)
        self._note_doubts(chosen, cheaper)
        others = [c for c in kept if c.case.variant != chosen.case.variant]
        if not others:
            return _Choice("recommended", self._reason(chosen, kept), chosen)
        second = self._cheapest(others)
        reason = self._reason(chosen, kept)
        return _Choice("recommended", reason, chosen, second, self._price(second, chosen))

    def _undecided(self, open_: Sequence[Candidate]) -> _Choice:
        """The choice if it is undecided. The candidate is the cheapest of the variants that did not
        lose more than the margin on these images; if all did, the one that lost least."""
        likely = [c for c in open_ if c.loss and c.loss.point <= self.margin]
        found = self._cheapest(likely) if likely else best_of(open_)
        self._note_suspect(found)
        return _Choice("undecided", self._open(found), candidate=found)

    def _images(self, c: Candidate) -> ImagesNeeded | None:
        from harness.stats.enough_images import ENOUGH_TO_TELL

        found = self.losses.needed(c.judged_as, self.margin)
        if found is None:
            return None
        enough = self.losses.images >= ENOUGH_TO_TELL
        return ImagesNeeded(images=found.images if enough else None, low=found.low, high=found.high)

    def _cheapest(self, among: Sequence[Candidate]) -> Candidate:
        """The one with the lowest geometric mean of the costs that all of them have; of equal ones
        the more accurate, then the first by name."""
        known = [m for m in self.weighed if all((c.point(m) or 0) > 0 for c in among)]

        def cost(c: Candidate) -> tuple[float, float, str]:
            return sum(math.log(c.point(m) or 1) for m in known), -c.score, c.name

        return min(among, key=cost)

    def _counts(self) -> tuple[str, ...]:
        """The metrics that the front is about; accuracy is one if it is known of any case."""
        return (*self.costs, "accuracy") if self.judged else self.costs

    def _front(self) -> list[Candidate]:
        """The candidates that no other beats on all metrics that are known here. A candidate that
        lacks one of these metrics cannot be placed."""
        points: dict[str, tuple[float, ...]] = {}
        for c in self.usable:
            own = [c.point(m) for m in self.costs]
            if self.judged:
                own.append(None if c.right is None else -c.score)
            if all(v is not None for v in own):
                points[c.id] = tuple(v for v in own if v is not None)
        ids = front(points)
        return [c for c in self.usable if c.id in ids]

    # --- sentences ---

    def _reason(self, c: Candidate, kept: Sequence[Candidate]) -> str:
        """`loses at most 1.4 points ...; 74x smaller and 40x faster than vgg16; accuracy ...`"""
        alike = [x for x in kept if self._as_cheap(x, c)]
        cheap = f"{names(alike)} {'is' if len(alike) == 1 else 'are'} as cheap" if alike else ""
        clauses = [self._proven(c), self._saving(c), self._accurate(c), cheap]
        return f"{c.name}: " + "; ".join(filter(None, clauses))

    def _proven(self, c: Candidate) -> str:
        """What the images show of its loss."""
        what = self.losses.protected.said
        if c.loss is None or len(self.losses.by_variant) < 2:
            return ""
        if c.loss.bound == 0:
            return f"no other has more {what}, with 95 % confidence"
        lost = units.points(c.loss.bound, up=True)
        return f"loses at most {lost} of {what}, with 95 % confidence"

    def _open(self, c: Candidate) -> str:
        """What is not known about the candidate, and what would decide."""
        unclear = [
            f"{b.text} is undecided at {units.interval(m, b.spec.quantity)}"
            for b in self.budgets
            if (m := c.metric(b.spec.name)) and budget.outcome(b, m) == "undecided"
        ]
        if c.keeps(self.margin):
            return f"{c.name}: " + "; ".join(filter(None, [self._proven(c), *unclear]))
        bound = c.loss.bound if c.loss else 1.0
        now = f"it is recommended now with --max-accuracy-loss {_percent_up(bound)}"
        clauses = [
            f"may lose up to {units.points(bound, up=True)} of {self.losses.protected.said}, more "
            f"than the {units.points(self.margin)} allowed",
            self._what_decides(c),
            now if bound < 1 else "",
        ]
        return f"{c.name}: " + "; ".join([*filter(None, clauses), *unclear])

    def _what_decides(self, c: Candidate) -> str:
        """`if it loses nothing, about 900 test images decide (700 to 1,300)`."""
        found, protected = self._images(c), self.losses.protected
        if c.loss is not None and c.loss.n < self.losses.images:
            return f"it answered only the first {c.loss.n:,} of {self.losses.images:,} test images"
        if found is None or found.low is None:
            return "more than a million test images would be needed"
        images = f"test images of {protected.name}" if protected.name else "test images"
        high = "a million and more" if found.high is None else _round(found.high)
        spread = f"{_round(found.low)} to {high}"
        if found.images is None:
            return (
                f"if it loses nothing, {spread} {images} decide; {self.losses.images} are too few "
                "for a closer number"
            )
        return f"if it loses nothing, about {_round(found.images)} {images} decide ({spread})"

    def _refused(self, judged: Sequence[Candidate]) -> str:
        """Every variant loses too much: names the one that loses least, and at least how much."""
        least = best_of(judged)
        at_least = units.points(least.loss.at_least) if least.loss else ""
        keeps = "everything that keeps the budgets" if self.budgets else "every variant"
        return (
            f"no recommendation: {keeps} loses more than {units.points(self.margin)} of "
            f"{self.losses.protected.said}; {least.label} loses least, at least {at_least}"
        )

    def _as_cheap(self, c: Candidate, other: Candidate) -> bool:
        """Whether the two variants differ in no cost."""
        return c.case.variant != other.case.variant and not differences(c, other, self.weighed)

    def _saving(self, c: Candidate) -> str:
        reference = reference_of(self.usable, c)
        if reference is None:
            return "the only one that took part" if len(self.usable) == 1 else ""
        if reference is c:
            return "nothing that keeps as much costs less" if len(self.judged) > 1 else ""
        kept = [m for m in self.costs if costs()[m].kind != "memory"]
        said = differences(c, reference, kept)
        if not said:
            return f"about as large and as fast as {reference.variant}"
        return f"{' and '.join(said)} than {reference.variant}"

    def _accurate(self, c: Candidate) -> str:
        best = max(self.judged, key=lambda x: x.score)
        own = f"accuracy {accuracy_of(c)}"
        if best.score == c.score:
            return f"{own}{', the highest' if len(variants_of(self.judged)) > 1 else ''}"
        return f"{own} against {best.variant}'s {units.ratio(best.score)}"

    def _price(self, second: Candidate, chosen: Candidate) -> str:
        """What the runner-up would cost, and what it would bring."""
        said = differences(second, chosen, self.costs) or ["as cheap"]
        level, against = units.ratio(second.score), units.ratio(chosen.score)
        proven = self._proven(second).removesuffix(", with 95 % confidence")
        return f"{second.name}: {', '.join(said)}; {proven}; accuracy {level} against {against}"

    def _nothing_known(self, feasible: Sequence[Candidate], maybe: Sequence[Candidate]) -> str:
        """Why there is nothing to choose from."""
        if not self.usable:
            return "no recommendation: no case could be measured"
        if not (pool := feasible or maybe):
            return self._nearest()
        keep = ("keeps" if len(pool) == 1 else "keep") if feasible else "may keep"
        keeps = f"{names(pool)} {keep} every budget, but " if self.budgets else ""
        why = listed({c.why_not for c in pool})
        return f"no recommendation: {keeps}the accuracy of what was measured is not known ({why})"

    def _least(self, budgets: Sequence[Budget]) -> Candidate:
        return min(self.usable, key=lambda c: _distance(c, budgets))

    def _nearest(self) -> str:
        """No variant keeps every budget: names the nearest one, and which budget to relax."""
        nearest = self._least(self.budgets)
        for b in self.budgets:
            own = self._least([b])
            m = own.metric(b.spec.name)
            if m is not None and own is not nearest and budget.outcome(b, m) != "met":
                self.notes.append(
                    f"no variant keeps {b.text}; nearest is {own.label} with "
                    f"{units.interval(m, b.spec.quantity)}"
                )
        if math.isinf(_distance(nearest, self.budgets)[0]):
            lacking = [b.text for b in self.budgets if nearest.metric(b.spec.name) is None]
            return f"no variant keeps every budget: {listed(lacking)} cannot be judged"
        short = [
            (b, m)
            for b in self.budgets
            if (m := nearest.metric(b.spec.name)) and budget.outcome(b, m) != "met"
        ]
        misses = listed([f"{b.text} with {units.interval(m, b.spec.quantity)}" for b, m in short])
        relaxed = listed([b.relaxed(budget.worst_of(b, m)) for b, m in short])
        return (
            f"no variant keeps every budget; nearest is {nearest.label}, which misses {misses}; "
            f"relax to {relaxed}"
        )

    # --- notes ---

    def _note_who_is_missing(self) -> None:
        out = [c for c in self.all if c not in self.usable]
        if out:
            self.notes.append(f"not considered, because failed or invalid: {names(out)}")
        unjudged = [c for c in self.usable if c.right is None]
        if self.judged and unjudged:
            why = listed({c.why_not for c in unjudged})
            self.notes.append(f"the accuracy of {names(unjudged)} is not known ({why})")

    def _note_suspect(self, c: Candidate) -> None:
        if c.case.status == "suspect":
            codes = listed({f.code for f in c.case.findings if f.level == "serious"})
            self.notes.append(f"{c.label} is suspect ({codes}): see the findings")

    def _note_given_up(self, best: Candidate, cheaper: Sequence[Candidate]) -> None:
        """Notes on cheaper variants that lost so much on the first images that no more were asked
        for."""
        for c in cheaper:
            seen = self.losses.given_up[c.judged_as]
            itself = c.loss is not None and c.loss.n == seen
            lost = units.points(c.loss.point) if c.loss else "?"
            self.notes.append(
                f"{c.label} costs less and lost {lost} on the first {seen:,} test images; the "
                f"chance that all {self.losses.images:,} would show that it loses no more than "
                f"{units.points(self.margin)} was below {HARDLY * 100:g} %, so "
                f"{'it' if itself else best.variant} stopped answering"
            )

    def _note_doubts(self, chosen: Candidate, cheaper: Sequence[Candidate]) -> None:
        """Notes on the recommended variant, and on cheaper ones that were not shown to lose too
        much."""
        self._note_suspect(chosen)
        likely = [c for c in cheaper if c.loss and c.loss.point <= self.margin]
        if likely:
            c = self._cheapest(likely)
            bound = c.loss.bound if c.loss else 1.0
            self.notes.append(
                f"{c.label} costs less and may lose up to {units.points(bound, up=True)}: "
                f"{self._what_decides(c)}"
            )


def _distance(c: Candidate, budgets: Sequence[Budget]) -> tuple[float, str]:
    """By how much the candidate exceeds the budgets; equal ones are sorted by name."""
    return sum(budget.excess(b, c.metric(b.spec.name)) for b in budgets), c.name


def _round(images: int) -> str:
    """972 -> '980': rounded up to two digits, so that the number is never too small."""
    step = 10 ** max(0, len(str(images)) - 2)
    return f"{-(-images // step) * step:,}"


def _percent_up(share: float) -> str:
    """0.05231 -> '5.3%': rounded up, as the value of an option."""
    return f"{math.ceil(share * 1000 - 1e-6) / 10:g}%"


def _line(b: Budget, cases: Sequence[CaseReport]) -> BudgetLine:
    metrics = {c.case.id: c.metrics.get(b.spec.name) for c in cases}
    unknown = {i: why for i, m in metrics.items() if (why := budget.unknown(b, m))}
    return BudgetLine(
        text=b.text,
        metric=b.spec.name,
        limit=b.limit,
        outcomes={i: budget.outcome(b, m) for i, m in metrics.items()},
        unknown=unknown,
    )
