"""What to measure and in which order. Pure: the same plan always gives the same order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from harness.core.types import Case, Plan, StopReason
from harness.devices import Settings

TIGHT_SHARE = 4  # a case within the target is launched in every 4th round only


def cases(
    variants: Iterable[str],
    settings: Mapping[str, Settings],
) -> tuple[Case, ...]:
    """Every variant on every device with each of its settings."""
    return tuple(
        Case(variant=v, device=d, runtime=r, delegate=g, threads=t, affinity=a)
        for d, of_device in settings.items()
        for v in variants
        for r in of_device.runtimes
        for g in of_device.delegates
        for t in of_device.threads
        for a in of_device.affinities
    )


def round_order(plan: Plan, device: str, index: int) -> list[Case]:
    """The cases of one device in the seeded random order of round `index`, so that drift of the
    device hits all alike."""
    order = [case for case in plan.cases if case.device == device]
    random.Random(f"{plan.seed}/{device}/{index}").shuffle(order)
    return order


def fixed(plan: Plan, device: str) -> int | None:
    """The number of launches of each case, if it does not depend on the results; else None."""
    if device in plan.exact_devices:
        return plan.exact_launches or plan.launches or 1
    return plan.launches


def least(plan: Plan, device: str) -> int:
    """The number of launches that each case gets in any event."""
    return fixed(plan, device) or plan.min_launches


def wanted(plan: Plan, case: Case, done: int, half_width: float | None, index: int) -> bool:
    """Whether round `index` should launch `case`, which has `done` launches and reached the
    relative `half_width` (None: no interval yet)."""
    exactly = fixed(plan, case.device)
    if exactly is not None:
        return done < exactly
    if done < plan.min_launches:
        return True
    if done >= plan.max_launches:
        return False
    if _tight(plan, half_width):
        return index % TIGHT_SHARE == 0
    return True


def finished(
    plan: Plan, done: Mapping[Case, int], half_widths: Mapping[Case, float | None]
) -> StopReason | None:
    """Why measuring on one device may stop now, if it may; the caller watches the time budget."""
    if all(fixed(plan, case.device) is not None for case in done):
        if any(n < least(plan, case.device) for case, n in done.items()):
            return None
        counted = all(case.device in plan.exact_devices for case in done)
        return "exact" if counted and fixed(plan, next(iter(done)).device) == 1 else "launches"
    if any(n < plan.min_launches for n in done.values()):
        return None
    wide = [c for c in done if not _tight(plan, half_widths[c])]
    if not wide:
        return "target_ci"
    # Cases that are precise enough need no further launches if no other case may be launched.
    return "max_launches" if all(done[case] >= plan.max_launches for case in wide) else None


def _tight(plan: Plan, half_width: float | None) -> bool:
    return half_width is not None and half_width <= plan.target_ci
