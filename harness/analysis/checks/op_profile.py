"""Where the time goes, operator by operator."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """The most expensive operators, from a launch of its own with the profiler on; or why there
    is no profile though one was asked for."""
    if not evidence.plan.timing.profile or not evidence.launches:
        return []
    ops = next((x.op_times for x in evidence.launches if x.op_times), ())
    if not ops:
        why = next((x.absent["op_times"] for x in evidence.launches if "op_times" in x.absent), "")
        return [
            Finding(
                level="warning",
                code="no-op-profile",
                message=f"there is no profile by operator: {why or 'no launch observed it'}",
                fix="use a runner of dialect A (devices.yaml: runner)",
            )
        ]
    told = "; ".join(
        f"{op.op} {units.percent(op.share)} ({units.duration(op.mean_ns)}, {op.name})" for op in ops
    )
    return [
        Finding(
            level="info",
            code="op-profile",
            message=f"most expensive operators, with the profiler on: {told}",
        )
    ]
