"""Parses what benchmark_model printed and wrote. Incomplete lines are never used.

Sources: tflite/tools/benchmark of LiteRT (dialect A), litert/tools/benchmark_litert_model
(dialect B), tensorflow/core/util/stats_calculator.h (the `count=` line), benchmark_result.proto.
Times are printed in microseconds; here they are integer nanoseconds, exactly.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from harness.core.text import integer
from harness.core.types import LatencySummary

_PHASE = re.compile(r"Running benchmark for at least \S+ iterations")
_COUNT = re.compile(r"(?:^|INFO: |\] )count=(\d+)((?: \w+=\S+)*)(?: \(all same\))?\s*$")
_TIMINGS = re.compile(
    r"Inference timings in us: Init: (\S+), First inference: (\S+), "
    r"Warmup \(avg\): (\S+), Inference \(avg\): (\S+)\s*$"
)
_INIT = re.compile(r"Initialized session in (\S+)ms\.\s*$")
_RESULTS_B = re.compile(r"Inference \(avg\):\s+(\S+) ms \((\d+) runs\)\s*$")
_PEAK = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: (\S+)\s*$")
_REPLACING = re.compile(
    r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]*)\) node, "
    r"yielding (\d+) partitions"
)
_APPLIED = re.compile(
    r"Explicitly applied (\S+) delegate, and the model graph will be "
    r"(completely|partially) executed by the delegate"
)
_NOT_APPLIED = re.compile(r"Though (\S+) delegate is explicitly applied, the model graph will not")
_UNCONSUMED = re.compile(r"Unconsumed cmdline flags: (.*)")
_PROBLEM = re.compile(r"^(?:ERROR|FATAL): (.*\S)")

MAX_US = Decimal(10) ** 12  # eleven days


class Replacement(NamedTuple):
    """One delegate took `nodes` of `total` nodes."""

    delegate: str
    nodes: int
    total: int
    partitions: int


class Output(NamedTuple):
    """All that can be read from it; None where it was not printed."""

    phases: tuple[LatencySummary | None, ...]  # None for a phase without iterations
    init_ns: int | None
    first_inference_ns: int | None
    finished: bool  # the closing lines were printed
    peak_bytes: int | None
    replacements: tuple[Replacement, ...]
    applied: dict[str, str]  # delegate -> completely, partially, not at all
    unconsumed: str | None
    problems: tuple[str, ...]


class Malformed(ValueError):
    """A known line or file has an unexpected form."""


def read_output(stdout: str, stderr: str) -> Output:
    """Parse both streams; raises Malformed."""
    reader = _Reader()
    for line in (*stdout.splitlines(), *stderr.splitlines()):
        reader.read(line)
    return reader.output()


class _Reader:
    """Takes lines one by one; each is known by its text."""

    def __init__(self) -> None:
        self._phases: list[LatencySummary | None] = []
        self._expecting = False  # a phase has been announced
        self._init: int | None = None
        self._first: int | None = None
        self._peak: int | None = None
        self._finished = False
        self._replacements: list[Replacement] = []
        self._applied: dict[str, str] = {}
        self._unconsumed: str | None = None
        self._problems: list[str] = []
        self._known = (
            (_PHASE, self._on_phase),
            (_COUNT, self._on_count),
            (_TIMINGS, self._on_timings),
            (_INIT, self._on_init),
            (_RESULTS_B, self._on_results),
            (_PEAK, self._on_peak),
            (_REPLACING, self._on_replacing),
            (_APPLIED, self._on_applied),
            (_NOT_APPLIED, self._on_not_applied),
            (_UNCONSUMED, self._on_unconsumed),
            (_PROBLEM, self._on_problem),
        )

    def read(self, line: str) -> None:
        for pattern, handle in self._known:
            if match := pattern.search(line):
                handle(match)
                return

    def output(self) -> Output:
        # Printed as 0 when there was no warm-up.
        first = self._first if self._phases and self._phases[0] else None
        return Output(
            phases=tuple(self._phases),
            init_ns=self._init,
            first_inference_ns=first,
            finished=self._finished,
            peak_bytes=self._peak,
            replacements=tuple(self._replacements),
            applied=self._applied,
            unconsumed=self._unconsumed,
            problems=tuple(self._problems),
        )

    def _on_phase(self, _: re.Match[str]) -> None:
        self._expecting = True

    def _on_count(self, match: re.Match[str]) -> None:
        # The op-level profile has lines that begin alike; they are not announced.
        if self._expecting:
            self._phases.append(_summary(match[1], match[2]))
            self._expecting = False

    def _on_timings(self, match: re.Match[str]) -> None:
        self._init, self._first = _ns(match[1]), _ns(match[2])
        self._finished = True

    def _on_init(self, match: re.Match[str]) -> None:
        self._init = _ns(match[1], 1_000_000)

    def _on_results(self, _: re.Match[str]) -> None:
        self._finished = True

    def _on_peak(self, match: re.Match[str]) -> None:
        self._peak = int(_number(match[1]) * 2**20)

    def _on_replacing(self, match: re.Match[str]) -> None:
        nodes, total, partitions = (_whole(match[n]) for n in (1, 2, 4))
        self._replacements.append(Replacement(match[3], nodes, total, partitions))

    def _on_applied(self, match: re.Match[str]) -> None:
        self._applied[match[1]] = match[2]

    def _on_not_applied(self, match: re.Match[str]) -> None:
        self._applied[match[1]] = "not at all"

    def _on_unconsumed(self, match: re.Match[str]) -> None:
        self._unconsumed = match[1].strip()

    def _on_problem(self, match: re.Match[str]) -> None:
        self._problems.append(match[1])


def _summary(count: str, rest: str) -> LatencySummary | None:
    """The fields of a `count=` line; None if nothing was measured."""
    values = dict(item.split("=", 1) for item in rest.split())
    number = _whole(count)
    if number == 0:
        return None
    known = {name: _ns(text) for name, text in values.items()}
    # One iteration, or all equal: only curr and the percentiles are printed.
    same = known.get("curr") if "min" not in known else None
    median = known.get("median", same)
    if median is None:
        # Builds from before the percentiles; the mean is not a median, and is not reported as one.
        raise Malformed("the build is too old: it does not print a median")
    summary = LatencySummary(
        count=number,
        median_ns=median,
        mean_ns=known.get("avg", same),
        min_ns=known.get("min", same),
        max_ns=known.get("max", same),
        std_ns=known.get("std", 0 if same is not None else None),
        p5_ns=known.get("p5", same),
        p95_ns=known.get("p95", same),
    )
    _check_order(summary)
    return summary


def _check_order(s: LatencySummary) -> None:
    # A median of 0 is valid: the tool prints whole microseconds, and a small model takes less than
    # one.
    ordered = [v for v in (s.min_ns, s.p5_ns, s.median_ns, s.p95_ns, s.max_ns) if v is not None]
    if ordered != sorted(ordered):
        raise Malformed("minimum, median and maximum are not in order")


def _ns(microseconds: str, scale: int = 1000) -> int:
    return int(_number(microseconds) * scale)


def _whole(text: str) -> int:
    value = integer(text)
    if value is None:
        raise Malformed(f"not a number: {text[:40]!r}")
    return value


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Malformed(f"not a number: {text[:40]!r}") from None
    if not value.is_finite() or value < 0 or value > MAX_US:
        raise Malformed(f"not a time: {text[:40]!r}")
    return value


# --- the result file -------------------------------------------------------------------------


class ResultFile(NamedTuple):
    """BenchmarkResult: latencies in ms, sizes as named. Missing fields are missing keys."""

    latency_ms: dict[str, float]
    memory: dict[str, float]
    misc: dict[str, float]


_LATENCY = ("avg", "min", "max", "std", "median", "p5", "p95", "init", "first", "warmup_avg")
_MEMORY = ("init_footprint_kb", "overall_footprint_kb", "peak_mem_mb")
_MISC = ("model_size_mb", "num_runs", "num_warmup_runs", "throughput")


def read_result_file(data: bytes) -> ResultFile:
    """Decode results.pb; raises Malformed on anything that is not a whole message."""
    sections: dict[int, bytes] = {}
    for number, value in _fields(data):
        if isinstance(value, bytes):
            sections[number] = value
    return ResultFile(
        _named(sections.get(2, b""), _LATENCY),
        _named(sections.get(3, b""), _MEMORY),
        _named(sections.get(4, b""), _MISC),
    )


def _named(data: bytes, names: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, value in _fields(data):
        if 1 <= number <= len(names) and not isinstance(value, bytes):
            if not math.isfinite(value):
                raise Malformed(f"its result file has no number as {names[number - 1]}")
            found[names[number - 1]] = value
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Field numbers and values of a protobuf message."""
    at = 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == 0:
                value, at = _varint(data, at)
                yield number, value
            elif kind == 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise Malformed("the result file is cut")
                yield number, data[at : at + length]
                at += length
            elif kind in (1, 5):
                code, size = ("<d", 8) if kind == 1 else ("<f", 4)
                yield number, struct.unpack_from(code, data, at)[0]
                at += size
            else:
                raise Malformed(f"the result file has a field of kind {kind}")
    except (IndexError, struct.error):
        raise Malformed("the result file is cut") from None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise Malformed("the result file has a number that does not end")
