"""What the parity metrics share: a device's answers beside the host's to the same inputs."""

from __future__ import annotations

from collections.abc import Iterator

from harness.core.types import Evidence, Launch

THRESHOLD = 0.5  # of a single output that is a probability


def compared(evidence: Evidence) -> Launch | None:
    """The first launch that holds both sides."""
    return next((x for x in evidence.launches if x.outputs and x.reference), None)


def why_not(evidence: Evidence) -> str:
    """Why no launch does."""
    reasons = [x.absent["reference"] for x in evidence.launches if "reference" in x.absent]
    return reasons[0] if reasons else "the answers were not compared with the host's"


def pairs(launch: Launch) -> Iterator[tuple[tuple[float | None, ...], tuple[float | None, ...]]]:
    """(the device's answer, the host's), example by example, as far as they were kept."""
    assert launch.outputs is not None
    assert launch.reference is not None
    yield from zip(launch.outputs.values, launch.reference.values, strict=True)


def largest_difference(launch: Launch) -> float | None:
    """Of any output of any example; None if only one side's is finite somewhere. Where the
    answers were not compared whole, of the outputs that were kept."""
    if launch.parity is not None:
        return launch.parity.largest_difference
    largest = 0.0
    for ours, theirs in pairs(launch):
        for a, b in zip(ours, theirs, strict=True):
            if a is None and b is None:
                continue
            if a is None or b is None:
                return None
            largest = max(largest, abs(a - b))
    return largest


def decision(answer: tuple[float | None, ...]) -> int | None:
    """The class an answer names: the largest output, or for a single one which side of
    THRESHOLD it is on. None if an output is not finite."""
    finite = [value for value in answer if value is not None]
    if not finite or len(finite) < len(answer):
        return None
    if len(finite) == 1:
        return int(finite[0] >= THRESHOLD)
    return finite.index(max(finite))
