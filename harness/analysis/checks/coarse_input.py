"""Whether a quantized input can distinguish the pixels that it is given."""

from __future__ import annotations

from harness.core.pixels import LEAST_STEPS, step_of
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Serious if all pixels lie within a few steps of the input's type: the picture is then nearly
    one colour, and nothing is beyond a limit that `input-saturated` could report."""
    evaluation = evidence.evaluation
    if evaluation is None or evaluation.saturated is None or evaluation.pixels is None:
        return []
    (tensor,) = evidence.artifact.inputs
    steps = evaluation.pixels.steps(step_of(tensor.dtype, tensor.scale))
    if steps is None or steps >= LEAST_STEPS:
        return []
    return [
        Finding(
            level="serious",
            code="input-coarse",
            message=f"with pixels {evaluation.pixels.name}, black and white are {steps:.0f} steps "
            f"of its {tensor.dtype} input apart, so it hardly sees the picture",
            fix="name its range with --pixels, or quantize it with images of the same range",
        )
    ]
