"""One doubt per file: `findings` looks at one case, with its metrics, and returns conclusions."""

from __future__ import annotations

from typing import Protocol

from harness.core.types import Evidence, Finding


class Check(Protocol):
    """The shape of a check module."""

    def findings(self, evidence: Evidence) -> list[Finding]:
        """What a careful reader would doubt; nothing if nothing."""
