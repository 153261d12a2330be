"""Findings of an examination."""

from __future__ import annotations

from harness.core.errors import HarnessError
from harness.core.types import Finding


def fine(code: str, message: str) -> Finding:
    """Nothing is wrong."""
    return Finding(level="info", code=code, message=message)


def warning(code: str, message: str, fix: str) -> Finding:
    """One can measure, but should know this."""
    return Finding(level="warning", code=code, message=message, fix=fix)


def serious(code: str, error: HarnessError) -> Finding:
    """One cannot measure."""
    return Finding(level="serious", code=code, message=error.message, fix=error.fix)
