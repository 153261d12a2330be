"""Load, warm up, measure, report."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from .caches import caches
from .console import ROOT, Failed, abort, say, state
from .delegation import ACCELERATORS, delegate
from .flags import ACCELERATED, BASE, DIALECTS, Flags, parse, usage
from .model import Model
from .output import print_profile, report_a, report_b
from .timings import describe, result_file


def loop(model: Model, runs: int, min_secs: float, max_secs: float, flags: Flags) -> list[int]:
    """Times of single inferences, in microseconds."""
    say(
        f"Running benchmark for at least {runs} iterations and at least {min_secs:g} seconds "
        f"but terminate if exceeding {max_secs:g} seconds."
    )
    gap = 1.0 / flags["run_frequency"] if flags["run_frequency"] > 0 else None
    due = time.monotonic() + (gap or 0.0)
    times: list[int] = []
    began = time.monotonic()
    while True:
        now = time.monotonic() - began
        if not ((len(times) < runs or now < min_secs) and now <= max_secs):
            break
        slowdown = float(state("slowdown", "1"))
        start = time.perf_counter_ns()
        model.invoke()
        if slowdown > 1:
            time.sleep((time.perf_counter_ns() - start) / 1e9 * (slowdown - 1))
        spent = time.perf_counter_ns() - start
        times.append(spent // 1000)
        # As in the real tool: each inference is due at a fixed time, and late ones are caught up.
        pause = flags["run_delay"] if gap is None else due - time.monotonic()
        due += gap or 0.0
        time.sleep(max(0.0, pause))
    say(describe(times) + "\n")
    return times


def fail_on_purpose(kind: str) -> None:
    """The faults that strike before anything is measured."""
    if kind == "crash":
        say("something went terribly wrong", "FATAL")
        abort()
    if kind == "hang":
        time.sleep(3600)
    if kind == "garbage":
        sys.stdout.buffer.write(bytes(range(256)) * 8)
        sys.stdout.flush()
        sys.exit(0)
    if kind == "endless":
        while True:
            sys.stdout.write("x" * 4096 + "\n")
    if kind == "rejects_model":
        say("Didn't find op for builtin opcode 'CONV_2D' version '9'", "ERROR")
        raise Failed("Failed to initialize the interpreter")


def say_computing() -> None:
    """Let the phone's battery know."""
    with contextlib.suppress(OSError):  # the phone is being taken down
        (ROOT / "state/computing").write_text(str(os.getpid()))


def fault_of_accelerator(flags: Flags) -> str:
    """What the fault makes of the answers: `wrong`, `nan`, or nothing."""
    fault = state("accelerator_answers", "")
    if not any(flags.get(flag) for flag in ACCELERATORS):
        return ""
    if fault == "fp16":
        return "wrong" if flags["gpu_precision_loss_allowed"] else ""
    return fault


def run(flags: Flags, dialect: str) -> None:
    """Load, warm up, measure, report."""
    fail_on_purpose(state("runner_fault", ""))
    say(f"Graph: [{flags['graph']}]")
    caches(flags)
    model = Model(flags)
    init = model.init_us
    say(f"Loaded model {flags['graph']}")
    delegate(model, flags)
    size = Path(flags["graph"]).stat().st_size / 1e6
    say(f"The input model file size (MB): {size:g}")
    say(f"Initialized session in {init / 1000:g}ms.")
    say_computing()
    warmup = loop(model, flags["warmup_runs"], flags["warmup_min_secs"], flags["max_secs"], flags)
    if state("runner_fault", "") == "half_line":
        sys.stdout.write("INFO: count=10 first=98")
        sys.stdout.flush()
        sys.exit(0)
    times = loop(model, flags["num_runs"], flags["min_secs"], flags["max_secs"], flags)
    report = report_a if dialect == "A" else report_b
    report(flags, init, warmup, times)
    if flags.get("enable_op_profiling"):
        print_profile(model, init, times)
    if flags.get("output_filepath"):
        model.write_outputs(flags["output_filepath"], fault_of_accelerator(flags))
    if flags["result_file_path"]:
        say(f"Saving benchmark result to: {flags['result_file_path']}")
        try:
            Path(flags["result_file_path"]).write_bytes(result_file(flags, init, warmup, times))
        except OSError:
            say(f"Failed to save benchmark result to: {flags['result_file_path']}", "ERROR")
        else:
            say(f"Saved benchmark result to: {flags['result_file_path']}")


def main() -> NoReturn:
    """The tool, from the command line to its exit status."""
    sys.exit(_status(sys.argv[1:]))


def _status(argv: list[str]) -> int:
    dialect = state("dialect", "A")
    defaults = BASE | DIALECTS[dialect]
    if dialect == "A" and state("accelerator", ""):
        defaults |= ACCELERATED
    try:
        say("STARTING!")
        flags = parse(argv, defaults)
        if flags["help"]:
            usage(defaults)
            raise Failed("")
        run(flags, dialect)
    except Failed as error:
        if str(error):
            say(str(error), "ERROR")
        say("Benchmarking failed.", "ERROR")
        return 1
    return 0
