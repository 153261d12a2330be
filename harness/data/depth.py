"""Which part of their range pictures of more than eight bits use, found per data set.

A camera with 12 bits writes files of 16 bits whose upper four are 0. Scaled by the range of 16
bits, its pictures are nearly black; scaled each by its own range, differences in brightness are
lost. So one range is used for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core import units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Depths that cameras and scanners have.
BITS = (8, 10, 12, 14, 16)


class Range(NamedTuple):
    """The values that become 0 and 255; `why` says how they are known."""

    low: float
    high: float
    why: str


def range_of(extremes: Iterable[tuple[float, float]], *, whole: bool) -> Range:
    """The range in use of pictures with these (lowest, highest) values; `whole` ones are of whole
    numbers from 0 to 65,535."""
    lows, highs = zip(*extremes, strict=True)
    low, high = min(lows), max(highs)
    if low >= 0 and not whole and high <= 1:
        return Range(0.0, 1.0, "floats from 0 to 1")
    if low >= 0 and high <= 65535 and (whole or float(high).is_integer()):
        bits = next(bits for bits in BITS if high < 2**bits)
        return Range(0.0, float(2**bits - 1), f"{bits} bits in use, up to {high:,.0f}")
    if low >= 0 and high <= 255:
        return Range(0.0, 255.0, "floats from 0 to 255")
    said = f"values from {units.significant(low)} to {units.significant(high)}"
    return Range(low, high, said)


def eight_bits(pixels: NDArray[Any], used: Range) -> NDArray[np.uint8]:
    """0 to 255, rounded."""
    import numpy as np

    span = used.high - used.low
    scaled = (pixels.astype(np.float64) - used.low) * (255.0 / span if span else 0.0)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
