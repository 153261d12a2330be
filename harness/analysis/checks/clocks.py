"""Clocks that were lowered, or that changed although they were set to be fixed."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Conditions, Evidence, Finding

_CHANGE = 0.05


def findings(evidence: Evidence) -> list[Finding]:
    """The highest clock that the device allowed itself, against its own highest over all launches;
    and the clock after a launch against the one before, where the clocks are said to be fixed."""
    pairs = [(x.before, x.after) for x in evidence.launches if x.before and x.after]
    limits = [max(c.limit_khz) for pair in pairs for c in pair if c.limit_khz]
    found = []
    if limits and (lowered := [pair for pair in pairs if _lowest(pair) < max(limits)]):
        low = min(_lowest(pair) for pair in lowered)
        found.append(
            Finding(
                level="serious",
                code="clock-limit",
                message=f"in {len(lowered)} of {len(pairs)} launches the device limited its clock "
                f"to {_mhz(low)}; otherwise it allows {_mhz(max(limits))}",
                fix="let it cool, switch power saving off, take it out of its case",
            )
        )
    fixed = evidence.device.extra.get("fixed_performance") == "on"
    moved = [pair for pair in pairs if _moved(*pair, fixed)]
    if moved:
        found.append(
            Finding(
                level="warning",
                code="clock-moved",
                message=f"in {len(moved)} of {len(pairs)} launches the clocks changed, although "
                "the device reports them as fixed",
                fix="measure with more launches, or on a cooler device",
            )
        )
    return found


def _lowest(pair: tuple[Conditions, Conditions]) -> float:
    return min((max(c.limit_khz) for c in pair if c.limit_khz), default=float("inf"))


def _moved(before: Conditions, after: Conditions, fixed: bool) -> bool:
    if not (fixed or before.governor == after.governor == "performance"):
        return False  # clocks that go with the load say nothing between launches
    if not before.frequency_khz or not after.frequency_khz:
        return False
    first, last = max(before.frequency_khz), max(after.frequency_khz)
    return abs(last - first) > _CHANGE * first


def _mhz(khz: float) -> str:
    return f"{units.significant(khz / 1000)} MHz"
