"""All rounding and formatting happens here; everywhere else values are whole and exact.

MB is 10^6 bytes and used for files; MiB is 2^20 bytes and used for memory.
"""

from __future__ import annotations

from harness.core.types import Measurement

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


def percent(share: float | None) -> str:
    """0.031 -> '3.1 %'."""
    return ABSENT if share is None else f"{significant(share * 100, 2)} %"


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
        return f"{value:.3f}"
    return f"{value:,.0f}"


def with_interval(name: str, m: Measurement | None) -> str:
    """'5.20 ms ±3.1 %'; without an interval only the point."""
    if m is None or m.point is None:
        return ABSENT
    text = metric(name, m.point, m.unit)
    estimate = m.estimate
    return text if estimate is None else f"{text} ±{percent(estimate.half_width)}"
