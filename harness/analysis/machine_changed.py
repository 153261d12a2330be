"""Detects that the machine changed between two runs.

An interval describes the launches of its own run only. On a machine whose speed changes for minutes
or hours, two runs of the very same file differ by more than their intervals say, and a gate that
trusted them would raise a false alarm in every fourth comparison (benchmarks/calibration.py). So,
for launches of two runs on one device, one runtime version and one build of the runner:

- a case whose file is the same byte for byte is a control: if its latency moved, the machine did;
- if three variants or more moved by about the same factor, the models are not the reason.

In both cases the times of that device become inconclusive, with the reason. Rounds of one run are
paired, so this is not needed there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec

from harness.core import units
from harness.core.types import CaseComparison, Comparison, Finding, MetricComparison

_CHANGED = ("regression", "improvement")
_SHIFT = math.log(1.05)
_FIX = "measure both sides in one run, where rounds are paired"


def withhold(comparison: Comparison) -> Comparison:
    """The comparison with a finding for each device that seems to have changed; times measured on
    such a device become inconclusive."""
    found: list[Finding] = []
    cases = list(comparison.cases)
    for device in dict.fromkeys(case.baseline.device for case in cases):
        own = [c for c in cases if c.baseline.device == device and not _other_runtime(c)]
        finding = _control_moved(own) or _moved_together(own)
        if finding is not None:
            found.append(finding)
            cases = [_withheld(c, finding) if c in own else c for c in cases]
    findings = (*comparison.findings, *found)
    return msgspec.structs.replace(comparison, cases=tuple(cases), findings=findings)


def _control_moved(cases: Sequence[CaseComparison]) -> Finding | None:
    for case in cases:
        latency = _latency(case)
        if latency is None or latency.outcome not in _CHANGED:
            continue
        if any(f.code == "same-file" for f in case.findings):
            return Finding(
                level="warning",
                code="machine-changed",
                message=f"{case.candidate.id} is the same file on both sides, yet took "
                f"{units.significant(latency.ratio or 0.0)} times the baseline's time: "
                "the machine changed between the runs",
                fix=_FIX,
            )
    return None


def _moved_together(cases: Sequence[CaseComparison]) -> Finding | None:
    moved = {
        case.baseline.variant: math.log(latency.ratio)
        for case in cases
        if (latency := _latency(case)) is not None and latency.ratio
    }
    if len(moved) < 3:
        return None
    shift = median(moved.values())
    if abs(shift) < _SHIFT or max(abs(x - shift) for x in moved.values()) > abs(shift) / 4:
        return None
    low, high = (units.significant(math.exp(x)) for x in (min(moved.values()), max(moved.values())))
    return Finding(
        level="warning",
        code="all-moved-together",
        message=f"all {len(moved)} variants took {low} to {high} times the baseline's time: "
        "the machine changed rather than the models",
        fix=_FIX,
    )


def _withheld(case: CaseComparison, finding: Finding) -> CaseComparison:
    metrics = [
        msgspec.structs.replace(m, outcome="inconclusive", note=f"withheld: {finding.message}")
        if m.unit == "ns" and not m.paired and m.outcome in _CHANGED
        else m
        for m in case.metrics
    ]
    return msgspec.structs.replace(case, metrics=tuple(metrics))


def _latency(case: CaseComparison) -> MetricComparison | None:
    """The latency of launches of two runs."""
    return next((m for m in case.metrics if m.metric == "latency" and not m.paired), None)


def _other_runtime(case: CaseComparison) -> bool:
    return any(f.code in ("runtime-differs", "runner-differs") for f in case.findings)
