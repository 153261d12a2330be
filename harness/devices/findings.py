"""Findings of an examination."""

from __future__ import annotations

from harness.core.errors import HarnessError
from harness.core.types import Finding


def fine(code: str, message: str) -> Finding:
    """Nothing is wrong."""
    return Finding(level="info", code=code, message=message)


def warning(code: str, message: str, fix: str) -> Finding:
    """Measuring is possible, but the user should know this."""
    return Finding(level="warning", code=code, message=message, fix=fix)


def serious(code: str, error: HarnessError) -> Finding:
    """Measuring is not possible."""
    return Finding(level="serious", code=code, message=error.message, fix=error.fix)
