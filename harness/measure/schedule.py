"""What to measure, and in which order. Pure: the same plan always gives the same order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from harness.core.types import Case, Plan, StopReason

TIGHT_SHARE = 4  # a case within the target joins one round in so many


def cases(
    variants: Iterable[str],
    devices: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[int]]],
) -> tuple[Case, ...]:
    """Every variant on every device with each of its (runtimes, delegates, threads)."""
    return tuple(
        Case(variant=v, device=d, runtime=r, delegate=g, threads=t)
        for d, (runtimes, delegates, threads) in devices.items()
        for v in variants
        for r in runtimes
        for g in delegates
        for t in threads
    )


def round_order(plan: Plan, device: str, index: int) -> list[Case]:
    """The cases of one device in the seeded random order of round `index`, so that drift of the
    device hits all alike."""
    order = [case for case in plan.cases if case.device == device]
    random.Random(f"{plan.seed}/{device}/{index}").shuffle(order)
    return order


def fixed(plan: Plan, device: str) -> int | None:
    """The number of launches of each case, where it does not depend on what they show."""
    if device in plan.exact_devices:
        return plan.exact_launches or plan.launches or 1
    return plan.launches


def least(plan: Plan, device: str) -> int:
    """The number of launches of each case that are surely made."""
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
    if half_width is not None and half_width <= plan.target_ci:
        return index % TIGHT_SHARE == 0
    return True


def finished(
    plan: Plan, done: Mapping[Case, int], half_widths: Mapping[Case, float | None]
) -> StopReason | None:
    """Why measuring on one device may stop now, if it may; the time budget is the caller's to
    watch."""
    if all(fixed(plan, case.device) is not None for case in done):
        if any(n < least(plan, case.device) for case, n in done.items()):
            return None
        counted = all(case.device in plan.exact_devices for case in done)
        return "exact" if counted and fixed(plan, next(iter(done)).device) == 1 else "launches"
    if any(n < plan.min_launches for n in done.values()):
        return None
    if all(w is not None and w <= plan.target_ci for w in half_widths.values()):
        return "target_ci"
    if all(n >= plan.max_launches for n in done.values()):
        return "max_launches"
    return None
