"""An interval wider than the plan asked for."""

from __future__ import annotations

import math

from harness.core import units
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Says by how much, and how many launches would narrow it, going by the square root of n."""
    latency = evidence.metrics.get("latency")
    estimate = latency.estimate if latency else None
    target = evidence.plan.target_ci
    if estimate is None or target <= 0 or estimate.half_width <= target:
        return []
    needed = math.ceil(estimate.n * (estimate.half_width / target) ** 2)
    known, asked = units.told_apart(estimate.half_width, target)
    return [
        Finding(
            level="warning",
            code="wide-interval",
            message=f"latency is known to ±{known} after {estimate.n} "
            f"launches; ±{asked} was asked for",
            fix=f"give a longer --time-budget, or about --launches {needed}; a quieter machine "
            "helps more",
        )
    ]
