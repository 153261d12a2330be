"""What time it is."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Literal

Digits = Literal["seconds", "milliseconds"]


def now_iso(digits: Digits = "milliseconds") -> str:
    """Now in UTC: '2026-11-23T17:15:02.123+00:00'."""
    return iso(time.time(), digits)


def iso(seconds: float, digits: Digits = "seconds") -> str:
    """A moment in seconds since 1970, in UTC: '2026-11-23T17:15:02+00:00'."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec=digits)
