"""Reads what the user says that a model wants for a picture."""

from __future__ import annotations

from harness.core.errors import UsageError
from harness.core.pixels import KNOWN, Pixels, named

_FIX = "write 0..255, 0..1, -1..1, imagenet, or a mean and a deviation in pixels such as 127.5,60"


def parse(text: str) -> Pixels:
    """`--pixels`: a name in KNOWN, or `mean,std`, or three means and three deviations.

    Raises UsageError.
    """
    if text.strip().lower() in KNOWN:
        return named(text.strip().lower(), "asked")
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--pixels {text} is not a range of pixels", _FIX) from None
    half = len(numbers) // 2
    if len(numbers) not in (2, 6) or not all(abs(n) < 1e6 for n in numbers):
        raise UsageError(f"--pixels {text} is not a mean and a deviation", _FIX)
    if min(numbers[half:]) <= 0:
        raise UsageError(f"--pixels {text} has a deviation that is not above 0", _FIX)
    return Pixels(mean=tuple(numbers[:half]), std=tuple(numbers[half:]), source="asked")
