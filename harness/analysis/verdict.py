"""Which variant to ship: budgets, Pareto front, one recommendation with its reason.

The rule, device by device (docs/explanation/verdict.md says why):

1. A case *took part* if it neither failed nor is invalid. A budget is met or missed only if the
   whole interval is. *Feasible* is what meets every budget; if nothing does, what may meet them.
2. Of the feasible, the *peers* are the most accurate one and all that are not significantly less
   accurate (McNemar, on the same examples, p < 0.05).
3. Of the peers the one with the lowest geometric mean of size, latency and peak RSS is
   recommended, and the runner-up is found in the same way without that variant.

An artifact of which no accuracy is known is never recommended: then there is only the front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis import budget
from harness.analysis.budget import Budget, parse_budget
from harness.analysis.candidates import (
    SIGNIFICANT,
    Candidate,
    accuracy_of,
    best_of,
    candidates_of,
    costs_of,
    differences,
    front,
    listed,
    names,
    paired,
    peers_of,
    reference_of,
    variants_of,
)
from harness.core import units
from harness.core.types import (
    BudgetLine,
    BudgetOutcome,
    CaseReport,
    DeviceVerdict,
    MetricSpec,
    Report,
    Verdict,
)

# From this shortfall on that the test images cannot rule out, the verdict says so.
WORTH_A_WORD = 0.02

_WORST_FIRST: tuple[BudgetOutcome, ...] = ("missed", "undecided", "met")


def judge(report: Report, specs: Mapping[str, MetricSpec]) -> Verdict | None:
    """The verdict on a report, with the budgets of its plan; None if there is nothing to choose:
    no case, or a single variant and no budget. `specs` are the metrics by name."""
    budgets = parse_budget(report.plan.budget, specs) if report.plan.budget else ()
    if not report.cases or (not budgets and len({c.variant for c in report.cases}) < 2):
        return None
    candidates = candidates_of(report)
    devices = [
        _Device(name, [c for c in candidates if c.case.device == name], budgets).verdict()
        for name in dict.fromkeys(case.device for case in report.cases)
    ]
    return _together(devices, tuple(_line(b, report.cases) for b in budgets))


# --- one device ------------------------------------------------------------------------------


class _Device:
    """Everything that is concluded about one device."""

    def __init__(
        self, name: str, candidates: Sequence[Candidate], budgets: Sequence[Budget]
    ) -> None:
        self.name = name
        self.budgets = budgets
        self.all = candidates
        self.usable = [c for c in candidates if c.case.status not in ("failed", "invalid")]
        self.judged = [c for c in self.usable if c.right is not None]
        self.costs = costs_of(self.usable)
        self.notes: list[str] = []

    def verdict(self) -> DeviceVerdict:
        """The rule, step by step."""
        state = {c.id: self._state(c) for c in self.usable}
        feasible = [c for c in self.usable if state[c.id] == "met"]
        maybe = [c for c in self.usable if state[c.id] == "undecided"]
        outcome: BudgetOutcome = "met" if feasible else "undecided" if maybe else "missed"
        pareto = self._front()
        self._tell_who_is_missing()
        pool = feasible or maybe
        recommended, reason, second, second_reason = self._choice(pool)
        return DeviceVerdict(
            device=self.name,
            reason=reason,
            recommended=recommended.name if recommended else None,
            recommended_case=recommended.id if recommended else None,
            runner_up=second.name if second else None,
            runner_up_reason=second_reason,
            pareto=tuple(c.id for c in pareto),
            pareto_on=self._counts(),
            feasible=tuple(c.id for c in feasible),
            outcome=outcome if self.budgets else None,
            notes=tuple(self.notes),
        )

    def _state(self, c: Candidate) -> BudgetOutcome:
        """All budgets together."""
        found = {budget.outcome(b, c.metric(b.spec.name)) for b in self.budgets}
        return next((o for o in _WORST_FIRST if o in found), "met")

    def _choice(
        self, pool: Sequence[Candidate]
    ) -> tuple[Candidate | None, str, Candidate | None, str]:
        """(recommended, why, runner-up, what it would cost)."""
        if not self.usable:
            return None, "no recommendation: no case could be measured", None, ""
        if not pool:
            return None, self._nearest(), None, ""
        judged = [c for c in pool if c.right is not None]
        if not judged:
            return None, self._without_accuracy(pool), None, ""
        chosen = self._cheapest(peers_of(judged))
        self._tell_doubts(chosen)
        others = [c for c in judged if c.case.variant != chosen.case.variant]
        if not others:
            return chosen, self._reason(chosen), None, ""
        second = self._cheapest(peers_of(others))
        return chosen, self._reason(chosen), second, self._price(second, chosen)

    def _cheapest(self, among: Sequence[Candidate]) -> Candidate:
        """The lowest geometric mean of what all of them have; then the more accurate one, then by
        name."""
        known = [m for m in self.costs if all((c.point(m) or 0) > 0 for c in among)]

        def cost(c: Candidate) -> tuple[float, float, str]:
            return sum(math.log(c.point(m) or 1) for m in known), -c.score, c.name

        return min(among, key=cost)

    def _counts(self) -> tuple[str, ...]:
        """The metrics that the front is about: accuracy where it is known of any."""
        return (*self.costs, "accuracy") if self.judged else self.costs

    def _front(self) -> list[Candidate]:
        """Those that nothing beats on every count that this device and these artifacts have. Who
        lacks one of the counts cannot be placed."""
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

    def _reason(self, c: Candidate) -> str:
        """`74x smaller and 40x faster than vgg16; accuracy ... is not distinguishable ...`"""
        clauses = [self._saving(c), self._accurate(c)]
        open_ = [
            f"{b.text} is undecided at {units.interval(m, b.spec.quantity)}"
            for b in self.budgets
            if (m := c.metric(b.spec.name)) and budget.outcome(b, m) == "undecided"
        ]
        return f"{c.name}: " + "; ".join([*filter(None, clauses), *open_])

    def _saving(self, c: Candidate) -> str:
        reference = reference_of(self.usable, c)
        if reference is None:
            return "the only one that took part" if len(self.usable) == 1 else ""
        if reference is c:
            return "nothing that is as accurate costs less" if len(self.judged) > 1 else ""
        kept = [m for m in self.costs if m != "peak_rss"]
        said = differences(c, reference, kept)
        if not said:
            return f"about as large and as fast as {reference.variant}"
        return f"{' and '.join(said)} than {reference.variant}"

    def _accurate(self, c: Candidate) -> str:
        best = best_of(self.judged)
        own = f"accuracy {accuracy_of(c)}"
        if best.case.variant == c.case.variant or best.score == c.score:
            return f"{own}{', the highest' if len(variants_of(self.judged)) > 1 else ''}"
        found = paired(c, best)
        theirs = f"{best.variant}'s {units.ratio(best.score)}"
        p = f"(McNemar p {units.p_value(found.p)})"
        if found.p >= SIGNIFICANT:
            return f"{own} is not distinguishable from {theirs} {p}"
        return f"{own} is below {theirs} {p}, {self._why_not_that(best)}"

    def _why_not_that(self, best: Candidate) -> str:
        missed = [
            b.text for b in self.budgets if budget.outcome(b, best.metric(b.spec.name)) != "met"
        ]
        return f"which does not keep {' and '.join(missed)}" if missed else "which costs more"

    def _price(self, second: Candidate, chosen: Candidate) -> str:
        """What the runner-up would cost, and what it would bring."""
        found = paired(second, chosen)
        said = differences(second, chosen, self.costs) or ["costs much the same"]
        level = units.ratio(second.score)
        against = units.ratio(chosen.score)
        text = ", ".join(said)
        return (
            f"{second.name}: {text}; accuracy {level} against {against} "
            f"(McNemar p {units.p_value(found.p)})"
        )

    def _without_accuracy(self, pool: Sequence[Candidate]) -> str:
        why = listed({c.why_not for c in pool})
        keeps = f"{names(pool)} keep every budget, but " if self.budgets else ""
        return (
            f"no recommendation: {keeps}nothing is known of the accuracy of what was measured "
            f"({why})"
        )

    def _least(self, budgets: Sequence[Budget]) -> Candidate:
        return min(self.usable, key=lambda c: _distance(c, budgets))

    def _nearest(self) -> str:
        """Nothing feasible: who comes nearest, and what to relax."""
        nearest = self._least(self.budgets)
        for b in self.budgets:
            own = self._least([b])
            m = own.metric(b.spec.name)
            if m is not None and own is not nearest and budget.outcome(b, m) != "met":
                self.notes.append(
                    f"{b.text} is kept by none; nearest is {own.label} with "
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
            f"no variant keeps every budget; nearest is {nearest.label}, which does not keep "
            f"{misses}: relax to {relaxed}"
        )

    # --- notes ---

    def _tell_who_is_missing(self) -> None:
        out = [c for c in self.all if c not in self.usable]
        if out:
            self.notes.append(f"took no part, being failed or invalid: {names(out)}")
        unjudged = [c for c in self.usable if c.right is None]
        if self.judged and unjudged:
            why = listed({c.why_not for c in unjudged})
            self.notes.append(f"no word on the accuracy of {names(unjudged)} ({why})")

    def _tell_doubts(self, chosen: Candidate) -> None:
        if chosen.case.status == "suspect":
            codes = listed({f.code for f in chosen.case.findings if f.level == "serious"})
            self.notes.append(f"{chosen.label} is suspect ({codes}): see the findings")
        best = best_of(self.judged)
        if best.case.variant == chosen.case.variant:
            return
        found = paired(chosen, best)
        if found.p >= SIGNIFICANT and -found.difference.ci_low > WORTH_A_WORD:
            self.notes.append(
                f"{found.difference.n} test images cannot rule out that {chosen.label} is less "
                f"accurate than {best.variant} by up to "
                f"{units.significant(-found.difference.ci_low * 100, 2)} percentage points"
            )


def _distance(c: Candidate, budgets: Sequence[Budget]) -> tuple[float, str]:
    """By how much the candidate overdraws the budgets; equal ones by name."""
    return sum(budget.excess(b, c.metric(b.spec.name)) for b in budgets), c.name


# --- several devices -------------------------------------------------------------------------


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


def _runner_up(d: DeviceVerdict) -> list[str]:
    """The second choice and what it would cost, as a note; none if there is none."""
    return [f"runner-up {d.runner_up_reason}"] if d.runner_up else []


def _together(devices: Sequence[DeviceVerdict], lines: tuple[BudgetLine, ...]) -> Verdict:
    """One device's verdict is the run's. Of several, all must agree on a variant for it to be
    recommended; else the first that has a recommendation speaks, and the others in notes."""
    lead = next((d for d in devices if d.recommended is not None), devices[0])
    worst = next((o for o in _WORST_FIRST if o in {d.outcome for d in devices}), None)
    if len(devices) == 1:
        return Verdict(
            reason=lead.reason,
            recommended=lead.recommended,
            runner_up=lead.runner_up,
            runner_up_reason=lead.runner_up_reason,
            pareto=lead.pareto,
            outcome=worst,
            budgets=lines,
            notes=lead.notes,
            devices=(lead,),
        )
    agreed = len({d.recommended for d in devices}) == 1
    second = {d.device: _runner_up(d) for d in devices}
    own = lead.reason.removeprefix(f"{lead.recommended}: ")
    others = [d for d in devices if d is not lead]
    return Verdict(
        reason=f"on {lead.device}: {own}",
        recommended=lead.recommended if agreed else lead.recommended_case,
        pareto=tuple(i for d in devices for i in d.pareto),
        outcome=worst,
        budgets=lines,
        notes=(
            *(f"on {lead.device}: {said}" for said in second[lead.device]),
            *(
                f"on {d.device}: {said}"
                for d in others
                for said in (d.reason, *second[d.device], *d.notes)
            ),
            *(f"on {lead.device}: {said}" for said in lead.notes),
        ),
        devices=tuple(devices),
    )
