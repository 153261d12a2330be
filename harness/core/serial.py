"""The report as the JSON that is saved and published."""

from __future__ import annotations

import msgspec

from harness.core.types import Report


def encode(report: Report) -> bytes:
    """JSON of the current schema version, indented for people."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
