"""Outputs that are text: they are timed like all others, and nothing is checked about them."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """The latency holds; the answers were not looked at."""
    names = next((x.outputs.text for x in evidence.launches if x.outputs and x.outputs.text), ())
    if not names:
        return []
    which = ", ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")
    return [
        Finding(
            level="info",
            code="text-output",
            message=f"the output {which} is text, so the answers were not checked",
            fix="check the answers in the app, or convert the model without its text output",
        )
    ]
