"""Timed iterations that still belong to the warm-up."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats.series import steady_state

_UNTOLD = Finding(
    level="info",
    code="steady-state-untested",
    message="whether warm-up was over cannot be tested: the runner does not report single "
    "iterations, and runs as many as fit into the time",
)


def findings(evidence: Evidence) -> list[Finding]:
    """The change-point test over the timed iterations of all launches, or a finding that it could
    not be done."""
    groups = [x.latency_ns for x in evidence.launches if x.latency_ns]
    if not groups:
        return [_UNTOLD] if any(x.latency_summary for x in evidence.launches) else []
    state = steady_state(groups)
    if state is None:
        return [
            Finding(
                level="info",
                code="steady-state-untested",
                message="whether warm-up was over could not be tested with "
                f"{len(groups)} launches of at least {min(map(len, groups))} iterations",
                fix="measure at least 7 launches of 5 iterations",
            )
        ]
    if state.reached:
        return []
    way = "slower" if state.change > 0 else "faster"
    change = units.percent(abs(state.change))
    message = (
        f"latency keeps changing until the last timed iterations; the first are {change} {way}"
        if state.starts_at is None
        else f"the first {state.starts_at} timed iterations are {change} {way} than what follows"
    )
    return [
        Finding(
            level="warning",
            code="no-steady-state",
            message=message,
            fix="warm up longer; until then the number is an average over a transition",
        )
    ]
