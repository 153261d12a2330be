"""Lists and names made short enough to read."""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str], most: int = 6) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def shorten(text: str, most: int) -> str:
    """`text` with its middle cut out, no longer than `most`: the ends tell names apart."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
