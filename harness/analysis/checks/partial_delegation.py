"""A delegate that took only part of the graph, or none of it."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding, Level

_HALF = 0.5
_TOLD = ("partial-delegation", "fully-delegated")  # by the runner, in words


def findings(evidence: Evidence) -> list[Finding]:
    """The fewest nodes that the delegate took in any launch. If an accelerator that was asked for
    took none, the case is invalid, because the number is the CPU's. For the CPU's own delegate,
    taking only a part is an `info`."""
    taken = [
        (delegated, total)
        for x in evidence.launches
        if (delegated := x.counters.get("delegated_nodes")) is not None
        and (total := x.counters.get("total_nodes"))
    ]
    asked = evidence.case.delegate
    if not taken:
        told = any(n.code in _TOLD for x in evidence.launches for n in x.notes)
        return [] if asked == "cpu" or told or not evidence.launches else [_unknown(asked)]
    delegated, total = min(taken, key=lambda pair: pair[0] / pair[1])
    share = delegated / total
    if share >= 1 or (asked == "cpu" and delegated == 0):
        return []
    level: Level = "info" if asked == "cpu" else "warning" if share >= _HALF else "serious"
    return [
        Finding(
            level="invalid" if delegated == 0 else level,
            code="partial-delegation" if delegated else "nothing-delegated",
            message=f"the {asked} delegate took {delegated} of {total} nodes "
            f"({units.percent(share)})",
            fix=""
            if asked == "cpu"
            else "find the operators that it does not support, or measure with --delegate cpu",
        )
    ]


def _unknown(asked: str) -> Finding:
    return Finding(
        level="warning",
        code="delegation-unknown",
        message=f"the runner did not say how much of the graph the {asked} delegate took",
        fix="use a runner that reports it, or compare with --delegate cpu",
    )
