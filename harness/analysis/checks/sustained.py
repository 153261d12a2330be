"""Throughput and heat under a sustained load, minute by minute."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding, Minute


def findings(evidence: Evidence) -> list[Finding]:
    """The course of a sustained launch; a warning if the end is slower than the start by more than
    the precision that was asked for."""
    minutes = next((x.minutes for x in evidence.launches if x.minutes), ())
    if not minutes:
        return []
    start, end = _throughput(minutes[0]), _throughput(minutes[-1])
    change = end / start - 1
    course = "; ".join(_of_minute(number, minute) for number, minute in enumerate(minutes, 1))
    found = [
        Finding(
            level="info", code="sustained", message=f"inferences per second by minute: {course}"
        )
    ]
    if change < -evidence.plan.target_ci:
        found.append(
            Finding(
                level="warning",
                code="sustained-slowdown",
                message=f"throughput fell by {units.percent(-change)} from the first minute to the "
                "last",
                fix="expect the last minute's latency where the app runs the model without pause",
            )
        )
    return found


def _throughput(minute: Minute) -> float:
    """Inferences per second."""
    return 1e9 / minute.mean_ns


def _of_minute(number: int, minute: Minute) -> str:
    text = f"{number}: {units.significant(_throughput(minute))}"
    if minute.temperature_c is not None:
        text += f" at {minute.temperature_c:.1f} °C"
    if minute.thermal_status:
        text += f" (thermal status {minute.thermal_status})"
    return text
