"""Checks, one per file: `findings` looks at one case with its metrics and returns what is doubtful
about it."""

from __future__ import annotations

from typing import Protocol

from harness.core.types import Evidence, Finding


class Check(Protocol):
    """The shape of a check module."""

    def findings(self, evidence: Evidence) -> list[Finding]:
        """The findings about this case; an empty list if there are none."""
