"""Times of single inferences in the formats of the real tool."""

from __future__ import annotations

import resource
import struct
from pathlib import Path

from .flags import Flags


def percentile(times: list[int], p: int) -> int:
    """Element floor(n * p / 100) of the sorted times."""
    return sorted(times)[min(len(times) * p // 100, len(times) - 1)] if times else 0


def moments(times: list[int]) -> tuple[float, float]:
    """Mean and the population's standard deviation."""
    if not times:
        return 0.0, 0.0
    mean = sum(times) / len(times)
    return mean, (sum((t - mean) ** 2 for t in times) / len(times)) ** 0.5


def describe(times: list[int]) -> str:
    """The count= line."""
    tail = " ".join(
        f"{name}={percentile(times, p)}" for name, p in (("p5", 5), ("median", 50), ("p95", 95))
    )
    if not times:
        return f"count=0 {tail}"
    if min(times) == max(times):
        return f"count={len(times)} curr={times[-1]} {tail}"
    mean, std = moments(times)
    return (
        f"count={len(times)} first={times[0]} curr={times[-1]} min={min(times)} "
        f"max={max(times)} avg={mean:g} std={int(std)} {tail}"
    )


def result_file(flags: Flags, init: int, warmup: list[int], times: list[int]) -> bytes:
    """BenchmarkResult as protobuf: a name, latencies in ms, memory, the rest."""

    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    def message(number: int, body: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(body)) + body

    def number32(number: int, value: float) -> bytes:
        return varint(number << 3 | 5) + struct.pack("<f", value)

    mean, std = moments(times)
    micros = (
        mean, min(times, default=0), max(times, default=0), std, percentile(times, 50),
        percentile(times, 5), percentile(times, 95), init, warmup[0] if warmup else 0,
        moments(warmup)[0],
    )  # fmt: skip
    latency = b"".join(number32(n, us / 1000) for n, us in enumerate(micros, 1))
    memory = varint(1 << 3) + varint(0) + varint(2 << 3) + varint(0)
    if flags["report_peak_memory_footprint"]:
        memory += number32(3, peak_mb())
    size = Path(flags["graph"]).stat().st_size / 1e6
    misc = number32(1, size) + varint(2 << 3) + varint(len(times))
    misc += varint(3 << 3) + varint(len(warmup))
    return message(2, latency) + message(3, memory) + message(4, misc)


def peak_mb() -> float:
    """High-water mark of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
