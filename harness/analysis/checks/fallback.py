"""Operators that a GPU was not expected to take, and whether the run confirms it."""

from __future__ import annotations

from harness.analysis.fallback import expected_on_cpu, unknown_to_gpu
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Only where operators were expected to stay on the CPU; if the delegate took the whole graph,
    that was wrong."""
    if not evidence.case.delegate.startswith("gpu"):
        return []
    unknown = unknown_to_gpu(evidence.artifact)
    if not unknown:
        return []
    return [
        Finding(
            level="info",
            code="fallback-foreseen",
            message=f"{expected_on_cpu(unknown)}; {_outcome(evidence)}",
        )
    ]


def _outcome(evidence: Evidence) -> str:
    taken = [
        (nodes, total)
        for x in evidence.launches
        if (nodes := x.counters.get("delegated_nodes")) is not None
        and (total := x.counters.get("total_nodes"))
    ]
    if not taken:
        return "the run does not say how many nodes it took"
    nodes, total = min(taken)
    if nodes >= total:
        return f"the run shows otherwise: the delegate took all {total} nodes"
    return f"the run confirms it: the delegate took {nodes} of {total} nodes"
