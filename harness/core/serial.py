"""Reports as the JSON that is saved and published."""

from __future__ import annotations

import msgspec


def encode(report: msgspec.Struct) -> bytes:
    """JSON of the current schema version, indented for readers."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
