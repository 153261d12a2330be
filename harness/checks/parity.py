"""A device that answers otherwise than the host."""

from __future__ import annotations

from harness.core.types import Evidence, Finding

# Kernels of two processors round differently: some steps of a quantized output, and some
# thousandths of a float one whose insides are quantized.
STEPS = 4
SHARE = 0.02


def findings(evidence: Evidence) -> list[Finding]:
    """Beyond rounding, the kernels of one side are wrong, and so is what was measured of them."""
    measured = evidence.metrics.get("parity_difference")
    reference = next((x.reference for x in evidence.launches if x.reference), None)
    if measured is None or reference is None:
        return []
    scales = [tensor.scale for tensor in evidence.artifact.outputs if tensor.scale]
    largest = max((abs(v) for row in reference.values for v in row if v is not None), default=0.0)
    tolerated = STEPS * max(scales) if scales else SHARE * largest
    if measured.point is not None and measured.point <= tolerated:
        return []
    how = (
        measured.absent_because
        if measured.point is None
        else f"an output differs by {measured.point:.3g}, where rounding explains {tolerated:.3g}"
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
