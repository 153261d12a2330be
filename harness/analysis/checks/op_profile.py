"""Where the time goes, operator by operator."""

from __future__ import annotations

import re

from harness.core import units
from harness.core.types import Evidence, Finding

NO_PROFILE = "no-op-profile"
LONGEST_NAME = 32

# The tool writes [output]:place, and a fused operator's output bears the names of all of its parts.
_NAME = re.compile(r"\[(.*)\](?::\d+)?", re.DOTALL)


def short_name(name: str) -> str:
    """`[net/conv/Relu;net/conv/BiasAdd;net/conv/Conv2D]:3` -> `conv/Relu and 2 fused`. The whole
    name stays in the report."""
    inner = _NAME.fullmatch(name)
    first, *fused = (inner[1] if inner else name).split(";")
    parts = first.split("/")
    shown = "/".join(parts[-2:])
    if len(shown) > LONGEST_NAME:
        shown = parts[-1]
    if len(shown) > LONGEST_NAME:
        shown = f"…{shown[1 - LONGEST_NAME :]}"
    return f"{shown} and {len(fused)} fused" if fused else shown


def findings(evidence: Evidence) -> list[Finding]:
    """The most expensive operators, from a launch of its own with the profiler on; or why there
    is no profile though one was asked for."""
    if not evidence.plan.timing.profile or not evidence.launches:
        return []
    ops = next((x.op_times for x in evidence.launches if x.op_times), ())
    if any(note.code == NO_PROFILE for x in evidence.launches for note in x.notes):
        return []  # another finding says why, and what to do
    if not ops:
        why = next((x.absent["op_times"] for x in evidence.launches if "op_times" in x.absent), "")
        return [
            Finding(
                level="warning",
                code=NO_PROFILE,
                message=f"there is no profile by operator: {why or 'no launch observed it'}",
                fix="use a runner of dialect A (devices.yaml: runner)",
            )
        ]
    told = "; ".join(
        f"{op.op} {units.percent(op.share)} ({units.duration(op.mean_ns)}, {short_name(op.name)})"
        for op in ops
    )
    return [
        Finding(
            level="info",
            code="op-profile",
            message=f"most expensive operators, with the profiler on: {told}",
        )
    ]
