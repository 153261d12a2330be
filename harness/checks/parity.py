"""A device that answers otherwise than the host."""

from __future__ import annotations

from harness.core.types import Evidence, Finding

# Kernels of two processors round differently: some steps of a quantized output, and some
# thousandths of a float one whose insides are quantized.
STEPS = 4
SHARE = 0.02


def findings(evidence: Evidence) -> list[Finding]:
    """Beyond rounding, the kernels of one side are wrong, and so is what was measured of them."""
    reasons = [x.absent["reference"] for x in evidence.launches if "reference" in x.absent]
    if reasons:
        return [_not_compared(reasons[0])]
    measured = evidence.metrics.get("parity_difference")
    reference = next((x.reference for x in evidence.launches if x.reference), None)
    if reference is None:
        return []
    scales = [tensor.scale for tensor in evidence.artifact.outputs if tensor.scale]
    largest = max((abs(v) for row in reference.values for v in row if v is not None), default=0.0)
    tolerated = STEPS * max(scales) if scales else SHARE * largest
    point = None if measured is None else measured.point
    if point is not None and point <= tolerated:
        return []
    how = (
        "an output is finite on one side only"
        if point is None
        else f"an output differs by {point:.3g}, where rounding explains {tolerated:.3g}"
    )
    return [
        Finding(
            level="serious",
            code="answers-differ-from-host",
            message=f"on the same inputs {evidence.device.name} answers otherwise than the host: "
            f"{how}",
            mend="try another version of the runtime, or of the emulator",
        )
    ]


def _not_compared(why: str) -> Finding:
    return Finding(
        level="warning",
        code="not-compared-with-host",
        message=f"the answers were not compared with the host's: {why}",
        mend="on a phone, use a runner of dialect A (devices.yaml: runner)",
    )
