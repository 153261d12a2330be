"""The end of the output: the timings of each dialect, and the op-level profile."""

from __future__ import annotations

import sys

from .console import say
from .flags import Flags
from .model import Model
from .timings import describe, moments, peak_mb


def report_a(flags: Flags, init: int, warmup: list[int], times: list[int]) -> None:
    """The end of dialect A's output."""
    say(
        f"Inference timings in us: Init: {init}, First inference: {warmup[0] if warmup else 0}, "
        f"Warmup (avg): {moments(warmup)[0]:g}, Inference (avg): {moments(times)[0]:g}"
    )
    say(
        "Note: as the benchmark tool itself affects memory footprint, the following is only "
        "APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
        "information at your discretion."
    )
    say("Memory footprint delta from the start of the tool (MB): init=0 overall=0")
    if flags["report_peak_memory_footprint"]:
        say(f"Overall peak memory footprint (MB) via periodic monitoring: {peak_mb():g}")


COLUMNS = ("[node type]", "[first]", "[avg ms]", "[%]", "[cdf%]", "[mem KB]", "[times called]")


def banner(title: str) -> str:
    """The head of a section of the profile."""
    return f"{'=' * 30} {title} {'=' * 30}\n"


def table(rows: list[tuple[str, str, float]], total: float) -> str:
    """Operators (kind, name, ms) in the columns of StatSummarizer."""
    widths = (40, 9, 9, 8, 8, 10, 9)
    head = "\t".join(f"{c:>{w}}" for c, w in zip(COLUMNS, widths, strict=True))
    lines, seen = [f"\t{head}\t[Name]\n"], 0.0
    for kind, name, ms in rows:
        seen += ms
        share, so_far = 100 * ms / total, 100 * seen / total
        lines.append(
            f"\t{kind:>40}\t{ms:9.3f}\t{ms:9.3f}\t{share:7.3f}%\t{so_far:7.3f}%\t{0.0:10.3f}"
            f"\t{1:9d}\t{name}\n"
        )
    return "".join(lines) + "\n"


def print_profile(model: Model, init: int, times: list[int]) -> None:
    """Dialect A's op-level profile. The time of single operators cannot be seen from Python, so the
    measured time is divided by the size of the tensors that they touch."""
    mean_ms = moments(times)[0] / 1000
    ops = model.ops()
    whole = sum(size for _, _, size in ops) or 1
    rows = [(kind, name, mean_ms * size / whole) for kind, name, size in ops]
    sections = (
        ("Profiling Info for Benchmark Initialization:",
         [("AllocateTensors", "AllocateTensors/0", init / 1000)], f"count=1 curr={init}"),
        ("Operator-wise Profiling Info for Regular Benchmark Runs:", rows, describe(times)),
    )  # fmt: skip
    for title, shown, timings in sections:
        say(title)
        total = sum(ms for _, _, ms in shown) or 1.0
        top = sorted(shown, key=lambda row: -row[2])[:10]
        sys.stdout.write(banner("Run Order") + table(shown, total))
        sys.stdout.write(banner("Top by Computation Time") + table(top, total))
        sys.stdout.write(f"Number of nodes executed: {len(shown)}\n")
        sys.stdout.write(f"Timings (microseconds): {timings}\nMemory (bytes): count=0\n")
        sys.stdout.write(f"{len(shown)} nodes observed\n\n\n")


def report_b(flags: Flags, init: int, warmup: list[int], times: list[int]) -> None:
    """The end of dialect B's output, on standard error."""
    first = warmup[0] if warmup else 0
    lines = [
        "========== BENCHMARK RESULTS ==========",
        f"Model initialization: {init / 1000:.2f} ms",
        f"Warmup (first):       {first / 1000:.2f} ms",
        f"Warmup (avg):         {moments(warmup)[0] / 1000:.2f} ms ({len(warmup)} runs)",
        f"Inference (avg):      {moments(times)[0] / 1000:.2f} ms ({len(times)} runs)",
        f"Inference (min):      {min(times, default=0) / 1000:.2f} ms",
        f"Inference (max):      {max(times, default=0) / 1000:.2f} ms",
        f"Inference (std):      {moments(times)[1] / 1000:.2f}",
        "=======================================",
    ]
    for line in lines:
        sys.stderr.write(f"INFO: [benchmark_litert_model.cc:100] {line}\n")
