"""Several threads with a runner that may ignore the option."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """LiteRT's benchmark_model (dialect B) 2.0.3 takes --num_threads and ignores it; the output of
    other versions does not show whether they use it."""
    dialect_b = evidence.device.runtimes.get(evidence.case.runtime, "").endswith(", B")
    if not dialect_b or evidence.case.threads == 1 or not evidence.launches:
        return []
    return [
        Finding(
            level="warning",
            code="threads-ignored",
            message=f"it is not known whether {evidence.case.threads} threads were used: "
            "one version of benchmark_model, dialect B, ignores the option",
            fix="measure threads with dialect A (runner: {dialect: A} in devices.yaml)",
        )
    ]
