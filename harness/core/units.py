"""All rounding and formatting happens here; everywhere else values are whole and exact.

A number is rounded first, and only then are its unit and its decimals chosen: 999.7 us is 1.00 ms.
MB is 10^6 bytes and used for files; MiB is 2^20 bytes and used for memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from harness.core.text import name as name  # noqa: PLC0414  printing needs both
from harness.core.text import printable as printable  # noqa: PLC0414  printing needs both
from harness.core.text import printable_lines as printable_lines  # noqa: PLC0414  printing needs both

if TYPE_CHECKING:
    from harness.core.estimates import Estimate, Measurement, Quantity

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

ABSENT = "–"  # noqa: RUF001  what a table shows for a value that could not be measured

# --- numbers ---------------------------------------------------------------------------------


def significant(value: float, digits: int = 3) -> str:
    """`value` to `digits` significant digits, no exponent: 0.01234 -> 0.0123, 9.996 -> 10.0."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - _exponent(value, digits))}f}"


def _exponent(value: float, digits: int) -> int:
    """The power of ten of `value` (not 0) after rounding it: 0 of 9.94, 1 of 9.996."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _reaches(value: float, least: float, digits: int = 3) -> bool:
    """Whether `value`, rounded to `digits` significant digits, is at least `least`, by size."""
    return abs(float(f"{value:.{digits - 1}e}")) >= least


def exact(value: float) -> str:
    """All digits, for machines: whole numbers without a point."""
    whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else repr(value)


def ratio(value: float) -> str:
    """0.9617 -> '0.962'; small numbers keep two significant digits: 0.0000012 is not shown as 0."""
    if value == 0:
        return "0"
    return f"{value:.3f}" if _reaches(value, 0.01, 2) else f"{value:.2g}"


def percent(share: float | None) -> str:
    """0.031 -> '3.1 %'."""
    return ABSENT if share is None else f"{significant(share * 100, 2)} %"


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two different shares with as many digits as it takes to tell them apart, but at least two:
    '3.03 %' and '3.00 %' where both would be '3.0 %'."""
    digits = 2
    while True:
        said = tuple(f"{significant(share * 100, digits)} %" for share in (one, other))
        if said[0] != said[1] or one == other or digits > 15:
            return said[0], said[1]
        digits += 1


def parsed_share(text: str | float) -> float | None:
    """'2%', '0.02' or 0.02 -> 0.02; None for what is not a share above 0 and below 1."""
    try:
        number = str(text).strip()
        value = float(number[:-1]) / 100 if number.endswith("%") else float(number)
    except ValueError:
        return None
    return value if 0 < value < 1 else None


def points(share: float, *, up: bool = False) -> str:
    """A difference of shares in percentage points, to two digits: 0.0141 -> '1.4 points', rounded
    up where it is a bound; 0.01 -> '1 point'."""
    from math import ceil, floor, log10

    value = abs(share) * 100
    if value == 0:
        return "0 points"
    scale = 10.0 ** (floor(log10(value)) - 1)
    whole = ceil(value / scale - 1e-6) if up else round(value / scale)
    text = f"{whole * scale:.{max(0, -floor(log10(scale)))}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} point{'' if text == '1' else 's'}"


def round_up(share: float) -> float:
    """Rounded up to 1, 2, 5, 10 ... %, as the end of a scale: 0.037 -> 0.05."""
    if share <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(share))
    return next(n * power for n in (1, 2, 5, 10) if share <= n * power * (1 + 1e-9))


def p_value(p: float) -> str:
    """0.0321 -> '= 0.032'; '< 0.001' below that."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def times(ratio: float | None) -> str:
    """74.3 -> '74x'; below 10 with one decimal."""
    if ratio is None:
        return ABSENT
    return f"{ratio:.0f}x" if round(ratio, 1) >= 10 else f"{ratio:.1f}x"


# --- quantities ------------------------------------------------------------------------------


class Scale(NamedTuple):
    """A unit: a stored value divided by `divisor` is in the unit `label`. A column has one for all
    its values."""

    divisor: float
    label: str

    def show(self, value: float | None) -> str:
        """The number alone; its unit stands in the column's head."""
        if value is None:
            return ABSENT
        if self.label == "ratio":
            return ratio(value)
        if self.label == "count":
            return f"{value:,.0f}"
        return significant(value / self.divisor)


# The units of each quantity, the largest first. Ratios and counts have one of their own.
SCALES: dict[Quantity, tuple[Scale, ...]] = {
    "time": (Scale(NS_PER_S, "s"), Scale(NS_PER_MS, "ms"), Scale(1_000, "µs"), Scale(1, "ns")),
    "file size": (Scale(1e6, "MB"), Scale(1e3, "kB"), Scale(1, "B")),
    "memory": (Scale(2**20, "MiB"), Scale(2**10, "KiB"), Scale(1, "B")),
    "energy": (Scale(1, "J"), Scale(1e-3, "mJ"), Scale(1e-6, "µJ")),
    "ratio": (Scale(1, "ratio"),),
    "count": (Scale(1, "count"),),
}
_COUNTS = (Scale(1e9, "G"), Scale(1e6, "M"), Scale(1e3, "k"), Scale(1, ""))


def shown(value: float | None, kind: Quantity) -> str:
    """A value with its unit: 5_200_000 of "time" -> '5.20 ms'; an en dash for None."""
    if value is None:
        return ABSENT
    scale = _scale(value, SCALES[kind])
    if kind in ("ratio", "count"):
        return scale.show(value)
    if scale.label == "B":
        return f"{value:.0f} B"
    return f"{scale.show(value)} {scale.label}"


def _scale(value: float, scales: tuple[Scale, ...], digits: int = 3) -> Scale:
    """The largest unit in which the rounded value is at least 1, else the smallest."""
    return next((s for s in scales if _reaches(value / s.divisor, 1, digits)), scales[-1])


def duration(ns: float | None) -> str:
    """5_200_000 -> '5.20 ms'."""
    return shown(ns, "time")


def file_size(size_bytes: float | None) -> str:
    """11_500_000 -> '11.5 MB' (10^6)."""
    return shown(size_bytes, "file size")


def power(microwatts: float) -> str:
    """1_920_000 -> '1.92 W', 43_000 -> '43.0 mW'."""
    scale = _scale(microwatts, (Scale(1e6, "W"), Scale(1e3, "mW"), Scale(1, "µW")))
    return f"{scale.show(microwatts)} {scale.label}"


def memory(size_bytes: float | None) -> str:
    """104_857_600 -> '100 MiB' (2^20)."""
    return shown(size_bytes, "memory")


def count(value: float, digits: int = 4) -> str:
    """24_357_412 -> '24.36 M', 10_000_000 -> '10 M': for the ticks of an axis."""
    divisor, unit = _scale(value, _COUNTS, digits)
    return f"{value / divisor:.{digits}g} {unit}".rstrip()


def column_scale(kind: Quantity, values: Iterable[float]) -> Scale:
    """One unit for all values of a column: the one in which the median is at least 1, or a smaller
    one if the smallest value would otherwise start with two zeros."""
    scales = SCALES[kind]
    ordered = sorted(abs(v) for v in values if v)
    if not ordered:
        return scales[1] if kind == "time" else scales[0]
    middle, least = ordered[len(ordered) // 2], ordered[0]
    return next(
        (
            s
            for s in scales
            if _reaches(middle / s.divisor, 1) and _reaches(least / s.divisor, 0.01)
        ),
        scales[-1],
    )


def limit(value: float, kind: Quantity, *, up: bool) -> str:
    """A limit that `value` keeps, as `--budget` reads it: rounded up (or down) in the third digit,
    without blanks; 11_503_000 bytes of a file -> '11.6MB'."""
    scales = SCALES[kind] if kind not in ("ratio", "count") else (Scale(1, ""),)
    for scale in scales:
        text = _kept(value, scale.divisor, up=up)
        if abs(float(text)) >= 1:
            break
    return text + scale.label.replace("µ", "u")


def _kept(value: float, divisor: float, *, up: bool) -> str:
    number = value / divisor
    digits = 2 - math.floor(math.log10(abs(number))) if number else 0
    # The nearest first, so that 11.5 does not become 11.6 for the sake of its last bit.
    nearest = round(number * 10.0**digits)
    for whole in (nearest, nearest + (1 if up else -1)):
        text = f"{whole / 10.0**digits:.{max(0, digits)}f}"
        kept = float(text) * divisor
        if kept == value or (kept > value) == up:
            break
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- intervals -------------------------------------------------------------------------------


def interval(m: Measurement, kind: Quantity) -> str:
    """'49.1 ms (47.0 ms to 51.2 ms)', '0.962 (0.951-0.971)'; without an interval only the point."""
    point = shown(m.point, kind)
    estimate = m.estimate
    if estimate is None:
        return point
    low, high = (shown(v, kind) for v in (estimate.ci_low, estimate.ci_high))
    return f"{point} ({low}-{high})" if kind == "ratio" else f"{point} ({low} to {high})"


def share(e: Estimate) -> str:
    """A share with its interval: '0.962 (0.951-0.971)'."""
    return f"{ratio(e.point)} ({ratio(e.ci_low)}-{ratio(e.ci_high)})"


def spread(m: Measurement, scale: Scale) -> str:
    """The interval beside a point of its column: '±3.1 %', for shares '±0.010'; '±?' if n could
    not support one."""
    estimate = m.estimate
    if estimate is None:
        return "±?"
    if scale.label == "ratio":
        return f"±{(estimate.ci_high - estimate.ci_low) / 2:.3f}"
    share = estimate.half_width * 100
    digits = f"{share:.0f}" if share >= 9.95 else f"{share:.1f}" if share >= 0.95 else ""
    return f"±{digits or significant(share, 1)} %"


def with_interval(m: Measurement | None, kind: Quantity) -> str:
    """'5.20 ms ±3.1 %', '0.962 ±0.010'; without an interval only the point."""
    if m is None or m.point is None:
        return ABSENT
    text = shown(m.point, kind)
    if m.estimate is None:
        return text
    return f"{text} {spread(m, column_scale(kind, [m.point]))}"


# --- text ------------------------------------------------------------------------------------


def moment(iso: str) -> str:
    """'2026-11-23T10:15:00Z' -> '2026-11-23 10:15 UTC'; anything else as it is."""
    if len(iso) >= 16 and iso[10] == "T" and iso.endswith(("Z", "+00:00")):
        return f"{iso[:10]} {iso[11:16]} UTC"
    return printable(iso)
