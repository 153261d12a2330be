"""The verdict on a run, made from the verdicts on its devices."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.types import BudgetLine, BudgetOutcome, Decision, DeviceVerdict, Verdict

WORST_FIRST: tuple[BudgetOutcome, ...] = ("missed", "undecided", "met")
_SUREST_FIRST: tuple[Decision, ...] = ("recommended", "undecided", "refused", "none")


def _runner_up(d: DeviceVerdict) -> list[str]:
    """The second choice and what it would cost, as a note; none if there is none."""
    return [f"runner-up {d.runner_up_reason}"] if d.runner_up else []


def together(devices: Sequence[DeviceVerdict], lines: tuple[BudgetLine, ...]) -> Verdict:
    """The verdict on the run. With a single device it is that device's. With several, a variant is
    recommended if all of them recommend it; else the first device's recommendation is given, and
    those of the others as notes."""
    by_hope = sorted(devices, key=lambda d: _SUREST_FIRST.index(d.decision))
    lead, decision = by_hope[0], by_hope[-1].decision
    worst = next((o for o in WORST_FIRST if o in {d.outcome for d in devices}), None)
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
            decision=lead.decision,
            candidate=lead.candidate,
            images=lead.images,
            recommended_at=lead.recommended_at,
        )
    agreed = len({d.recommended or d.candidate for d in devices}) == 1
    second = {d.device: _runner_up(d) for d in devices}
    own = lead.reason.removeprefix(f"{lead.recommended or lead.candidate}: ")
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
        decision=decision,
        candidate=lead.candidate if agreed else lead.candidate_case,
        images=lead.images,
        recommended_at=lead.recommended_at,
    )
