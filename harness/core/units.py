"""All rounding and formatting happens here; everywhere else values are whole and exact.

MB is 10^6 bytes and used for files; MiB is 2^20 bytes and used for memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from harness.core.text import name as name  # noqa: PLC0414  printing needs both
from harness.core.text import printable as printable  # noqa: PLC0414  printing needs both
from harness.core.text import printable_lines as printable_lines  # noqa: PLC0414  printing needs both

if TYPE_CHECKING:
    from harness.core.estimates import Estimate, Measurement

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

ABSENT = "–"  # noqa: RUF001  what a table shows for a value that could not be measured

_DURATIONS = ((NS_PER_S, "s"), (NS_PER_MS, "ms"), (1_000, "µs"), (1, "ns"))


def significant(value: float, digits: int = 3) -> str:
    """`value` to `digits` significant digits, no exponent: 0.01234 -> 0.0123."""
    if value == 0:
        return "0"
    from math import floor, log10

    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:.{decimals}f}"


def duration(ns: float | None) -> str:
    """5_200_000 -> '5.20 ms'."""
    if ns is None:
        return ABSENT
    scale, unit = next(((s, u) for s, u in _DURATIONS if abs(ns) >= s), _DURATIONS[-1])
    return f"{significant(ns / scale)} {unit}"


def file_size(size_bytes: float | None) -> str:
    """11_500_000 -> '11.5 MB' (10^6)."""
    if size_bytes is None:
        return ABSENT
    if size_bytes < 1_000:
        return f"{size_bytes:.0f} B"
    if size_bytes < 1_000_000:
        return f"{significant(size_bytes / 1e3)} kB"
    return f"{significant(size_bytes / 1e6)} MB"


def memory(size_bytes: float | None) -> str:
    """104_857_600 -> '100 MiB' (2^20)."""
    return ABSENT if size_bytes is None else f"{significant(size_bytes / 2**20)} MiB"


def exact(value: float) -> str:
    """All digits, for machines: whole numbers without a point."""
    whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else repr(value)


_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float, digits: int = 4) -> str:
    """24_357_412 -> '24.36 M', 10_000_000 -> '10 M': for the ticks of an axis."""
    divisor, unit = next(((d, u) for d, u in _COUNTS if abs(value) >= d), (1.0, ""))
    return f"{value / divisor:.{digits}g} {unit}".rstrip()


def percent(share: float | None) -> str:
    """0.031 -> '3.1 %'."""
    return ABSENT if share is None else f"{significant(share * 100, 2)} %"


def round_up(share: float) -> float:
    """To the next of 1, 2, 5, 10 ... %, as the end of a scale: 0.037 -> 0.05."""
    from math import floor, log10

    if share <= 0:
        return 0.0
    power = 10.0 ** floor(log10(share))
    return next(n * power for n in (1, 2, 5, 10) if share <= n * power * (1 + 1e-9))


def p_value(p: float) -> str:
    """0.0321 -> '= 0.032'; '< 0.001' below that."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def interval(name: str, m: Measurement) -> str:
    """'49.1 ms (47.0 ms to 51.2 ms)', '0.962 (0.951-0.971)'; without an interval only the point."""
    point = metric(name, m.point, m.unit)
    estimate = m.estimate
    if estimate is None:
        return point
    low, high = (metric(name, v, m.unit) for v in (estimate.ci_low, estimate.ci_high))
    return f"{point} ({low}-{high})" if m.unit == "1" else f"{point} ({low} to {high})"


def share(e: Estimate) -> str:
    """A share with its interval: '0.962 (0.951-0.971)'."""
    point, low, high = (metric("", v, "1") for v in (e.point, e.ci_low, e.ci_high))
    return f"{point} ({low}-{high})"


def times(ratio: float | None) -> str:
    """74.3 -> '74x'; below 10 with one decimal."""
    if ratio is None:
        return ABSENT
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


# Sizes of files are told in MB (10^6), memory in MiB (2^20); both are stored in bytes.
_FILE_METRICS = frozenset({"size", "gzip_size"})


def metric(name: str, value: float | None, unit: str) -> str:
    """A value of the metric `name`, stored in `unit`, as a reader expects to see it."""
    if value is None:
        return ABSENT
    if unit == "ns":
        return duration(value)
    if unit == "bytes":
        return file_size(value) if name in _FILE_METRICS else memory(value)
    if unit == "1":
        return ratio(value)
    return f"{value:,.0f}"


def ratio(value: float) -> str:
    """0.9617 -> '0.962'; two significant digits where that is more: 0.0000012 is not 0."""
    if value == 0:
        return "0"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


class Scale(NamedTuple):
    """The unit of a whole column: a stored value over `divisor` is in `label`."""

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


_FILE_SCALES = (Scale(1e6, "MB"), Scale(1e3, "kB"), Scale(1, "B"))
_MEMORY_SCALES = (Scale(2**20, "MiB"), Scale(2**10, "KiB"), Scale(1, "B"))
_TIME_SCALES = tuple(Scale(divisor, label) for divisor, label in _DURATIONS)


def limit(name: str, value: float, unit: str, *, up: bool) -> str:
    """A limit that `value` keeps, as `--budget` reads it: rounded up (or down) in the third digit,
    without blanks; 11_503_000 bytes -> '11.6MB'."""
    from math import floor, log10

    scales: tuple[Scale, ...] = (Scale(1, ""),)
    if unit == "ns":
        scales = tuple(Scale(s.divisor, s.label.replace("µ", "u")) for s in _TIME_SCALES)
    elif unit == "bytes":
        scales = _FILE_SCALES if name in _FILE_METRICS else _MEMORY_SCALES
    scale = next((s for s in scales if abs(value) >= s.divisor), scales[-1])
    number = value / scale.divisor
    digits = 2 - floor(log10(abs(number))) if number else 0
    # The nearest first, so that 11.5 does not become 11.6 for the sake of its last bit.
    nearest = round(number * 10.0**digits)
    for whole in (nearest, nearest + (1 if up else -1)):
        text = f"{whole / 10.0**digits:.{max(0, digits)}f}"
        kept = float(text) * scale.divisor
        if kept == value or (kept > value) == up:
            break
    return (text.rstrip("0").rstrip(".") if "." in text else text) + scale.label


def column_scale(name: str, unit: str, values: Iterable[float]) -> Scale:
    """One unit for all values of the metric `name`: the one in which the median is at least 1,
    or a smaller one if the smallest value would otherwise start with two zeros."""
    if unit == "ns":
        scales = _TIME_SCALES
    elif unit == "bytes":
        scales = _FILE_SCALES if name in _FILE_METRICS else _MEMORY_SCALES
    else:
        return Scale(1, "ratio" if unit == "1" else "count")
    ordered = sorted(abs(v) for v in values if v)
    if not ordered:
        return scales[0] if unit == "bytes" else scales[1]
    middle, least = ordered[len(ordered) // 2], ordered[0]
    return next((s for s in scales if middle >= s.divisor and least >= s.divisor / 100), scales[-1])


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


def moment(iso: str) -> str:
    """'2026-11-23T10:15:00Z' -> '2026-11-23 10:15 UTC'; anything else as it is."""
    if len(iso) >= 16 and iso[10] == "T" and iso.endswith(("Z", "+00:00")):
        return f"{iso[:10]} {iso[11:16]} UTC"
    return printable(iso)


def with_interval(name: str, m: Measurement | None) -> str:
    """'5.20 ms ±3.1 %', '0.962 ±0.010'; without an interval only the point."""
    if m is None or m.point is None:
        return ABSENT
    text = metric(name, m.point, m.unit)
    if m.estimate is None:
        return text
    return f"{text} {spread(m, column_scale(name, m.unit, [m.point]))}"
