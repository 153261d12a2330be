"""A screen that was on."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Drawing takes processor time, and the display warms the phone."""
    seen = [c.screen_on for x in evidence.launches for c in (x.before, x.after) if c]
    lit = seen.count(True)
    if not lit:
        return []
    return [
        Finding(
            level="warning" if False in seen else "info",
            code="screen-on",
            message="the screen was on" + (" part of the time" if False in seen else ""),
            fix="switch it off, or keep it as the app's users have it in every run",
        )
    ]
