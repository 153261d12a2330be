"""What time it is."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal


def now_iso(digits: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """Now in UTC: '2026-11-23T17:15:02.123+00:00'."""
    return datetime.now(timezone.utc).isoformat(timespec=digits)
