"""Whether a quantized input could represent what it was given."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding

MOST = 0.05


def findings(evidence: Evidence) -> list[Finding]:
    """Serious if more than 5 % of the numbers lay beyond a limit of the input's type: the picture
    is then cut off at white or black, and the model sees another one."""
    evaluation = evidence.evaluation
    if evaluation is None or evaluation.saturated is None or evaluation.saturated <= MOST:
        return []
    (tensor,) = evidence.artifact.inputs
    return [
        Finding(
            level="serious",
            code="input-saturated",
            message=f"{units.percent(evaluation.saturated)} of the numbers it was given lie beyond "
            f"the limits of its {tensor.dtype} input",
            fix="name its range with --pixels, or quantize it with images of the same range",
        )
    ]
