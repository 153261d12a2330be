"""Google's benchmark_model: two tools of one name, here dialect A (the classic Interpreter's) and
B (LiteRT's CompiledModel). They share the loop and most flags; outputs differ at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.core.errors import StableDeviceError, WorkerError
from harness.core.text import clean
from harness.core.types import Case, Finding, LatencySummary, OpTime, Timing
from harness.core.units import NS_PER_S
from harness.devices.runners._output import (
    Malformed,
    Output,
    ResultFile,
    read_output,
    read_result_file,
)
from harness.devices.runners._profile import read_profile

Dialect = Literal["A", "B"]

RESOLUTION_NS = 1000  # both dialects print whole microseconds
OTHER_RUNNER = "choose another build or version of it (devices.yaml: runner)"

_ACCELERATOR_FLAGS = {
    "A": {
        "cpu": (),
        "gpu": ("--use_gpu=true",),
        "gpu-fp32": ("--use_gpu=true", "--gpu_precision_loss_allowed=false"),
        "npu": ("--use_nnapi=true",),
    },
    "B": {
        "cpu": ("--use_cpu=true",),
        "gpu": ("--use_cpu=false", "--use_gpu=true"),
        # Written with a hyphen in litert/tools/benchmark_litert_model.h (LiteRT, August 2026).
        "gpu-fp32": ("--use_cpu=false", "--use_gpu=true", "--gpu-precision=fp32"),
        "npu": ("--use_cpu=false", "--use_npu=true"),
    },
}


# What makes the runtime keep its caches in a folder, by dialect and delegate. The classic tool uses
# XNNPACK's cache only with a flag to use XNNPACK, which it uses anyway. Sources:
# tflite/tools/delegates/{xnnpack_delegate,default_execution}_provider.cc and
# litert/tools/benchmark_litert_model.h (LiteRT, August 2026).
_CACHE_FLAGS: dict[Dialect, dict[str, tuple[str, ...]]] = {
    "A": {
        "cpu": ("--use_xnnpack=true", "--xnnpack_weight_cache_file_path={folder}/xnnpack"),
        "": ("--delegate_serialize_dir={folder}", "--delegate_serialize_token=model"),
    },
    "B": {
        "cpu": ("--xnnpack_weight_cache_file_path={folder}/xnnpack",),
        "npu": ("--compiler_cache_path={folder}",),
        "": ("--gpu_serialization_dir={folder}", "--gpu_model_cache_key=model"),
    },
}
# What runtimes print when they read a cache: XNNPACK's (tflite/delegates/xnnpack/weight_cache.cc)
# and the classic GPU delegate's (tflite/delegates/gpu/delegate.cc).
_CACHE_READ = (
    "XNNPack weight cache loaded from",
    "Initialized OpenCL-based API from serialized data.",
)


def cache_was_read(text: str) -> bool:
    """Whether a runtime said that it read its cache."""
    return any(said in text for said in _CACHE_READ)


class Outcome(NamedTuple):
    """One launch of the tool. `counters` may hold delegated_nodes and total_nodes."""

    init_ns: int | None
    first_inference_ns: int | None
    warmup: LatencySummary | None
    latency: LatencySummary
    peak_bytes: int | None
    counters: dict[str, int]
    notes: tuple[Finding, ...]
    op_times: tuple[OpTime, ...] = ()


class Input(NamedTuple):
    """Values for one input: raw bytes of the tensor in a file on the device (dialect A only)."""

    name: str
    shape: tuple[int, ...]
    path: str


def dialect_in(help_text: str) -> Dialect | None:
    """The dialect, from what `--help` prints; None if it is neither."""
    if "--use_npu" in help_text or "--use_cpu" in help_text:
        return "B"
    return "A" if "--input_layer_value_files" in help_text else None


def dialect_of_file(path: Path) -> Dialect | None:
    """The dialect, from the names of flags in an executable; None if it does not hold them as plain
    text."""
    data = path.read_bytes()
    if b"compiler_plugin_library_path" in data:
        return "B"
    return "A" if b"input_layer_value_files" in data else None


def dialect_of(help_text: str) -> Dialect:
    """The dialect, from what `--help` prints. Raises StableDeviceError if it is neither."""
    if found := dialect_in(help_text):
        return found
    raise StableDeviceError(
        "prepare",
        f"the runner is not benchmark_model; its help says: {clean(help_text, 120) or 'nothing'}",
        OTHER_RUNNER,
    )


def arguments(
    dialect: Dialect,
    model: str,
    case: Case,
    timing: Timing,
    *,
    max_secs: float,
    result_path: str | None = None,
    profile: bool = False,
    signature: str | None = None,
    inputs: Sequence[Input] = (),
    output_path: str | None = None,
    cache_folder: str | None = None,
) -> list[str]:
    """The command line after the executable's name. The tool has no option for the largest number
    of iterations, so `timing.max_iterations` is not in it; `max_secs` ends a phase that lasts too
    long. Values are not quoted. Raises StableDeviceError for what a dialect cannot do.
    """
    if dialect == "B" and (inputs or output_path):
        raise StableDeviceError(
            "parity", "LiteRT's benchmark_model takes no inputs", "use a runner of dialect A"
        )
    if "," in model and inputs:
        raise StableDeviceError("parity", "a comma in a path cannot be passed to benchmark_model")
    result = [
        f"--graph={model}",
        f"--num_threads={case.threads}",
        f"--num_runs={timing.min_iterations}",
        f"--min_secs={timing.min_time_ns / NS_PER_S:g}",
        f"--max_secs={max_secs:g}",
        f"--warmup_runs={timing.min_warmup}",
        f"--warmup_min_secs={timing.warmup_time_ns / NS_PER_S:g}",
        *_ACCELERATOR_FLAGS[dialect][case.delegate],
    ]
    if result_path:
        result.append(f"--result_file_path={result_path}")
    if profile:
        result.append("--enable_op_profiling=true" if dialect == "A" else "--use_profiler=true")
    if timing.cadence_ns:
        result.append(f"--run_frequency={NS_PER_S / timing.cadence_ns:g}")
    if signature is not None:
        result.append(f"--signature_to_run_for={signature}")
    if inputs:
        names = [_escaped(i.name) for i in inputs]
        files = ",".join(f"{n}:{_escaped(i.path)}" for n, i in zip(names, inputs, strict=True))
        shapes = ":".join(",".join(map(str, i.shape)) for i in inputs)
        result += [
            f"--input_layer={','.join(i.name for i in inputs)}",
            f"--input_layer_shape={shapes}",
            f"--input_layer_value_files={files}",
        ]
    if cache_folder:
        flags = _CACHE_FLAGS[dialect]
        chosen = flags.get(case.delegate) or flags[""]
        result += [flag.format(folder=cache_folder) for flag in chosen]
    if output_path:
        result.append(f"--output_filepath={output_path}")
    return result


def _escaped(text: str) -> str:
    return text.replace(":", "::")


def interpret(
    exit_code: int,
    stdout: str,
    stderr: str,
    *,
    delegate: str,
    result_file: bytes | None = None,
    profile: bool = False,
    dialect: Dialect | None = None,
) -> Outcome:
    """The outcome of a launch, from its exit status first. The texts are clean lines. Raises
    WorkerError where the tool failed, and StableDeviceError where the phone cannot run it."""
    if exit_code:
        raise failure(exit_code, stdout, stderr)
    try:
        output = read_output(stdout, stderr)
        file = read_result_file(result_file) if result_file is not None else None
        ops = read_profile(stdout) if profile else ()
    except Malformed as error:
        raise unusable_output(str(error)) from None
    if output.unconsumed:
        raise WorkerError(
            "launch",
            f"benchmark_model does not know {clean(output.unconsumed)}, so its numbers are of "
            "something else",
            _without_flag(delegate),
        )
    if not output.finished or len(output.phases) != 2:
        raise unusable_output("its closing lines are missing")
    warmup, latency = output.phases
    if latency is None:
        raise WorkerError("launch", "benchmark_model made no inference", OTHER_RUNNER)
    if file is not None:
        _check_agreement(latency, file)
    counters, notes = _delegation(output, delegate)
    if dialect == "A" and delegate == "cpu" and _XNNPACK not in stdout + stderr:
        notes = (*notes, _without_xnnpack())
    return Outcome(
        init_ns=output.init_ns,
        first_inference_ns=output.first_inference_ns or _first(warmup, file),
        warmup=warmup,
        latency=latency,
        peak_bytes=output.peak_bytes,
        counters=counters,
        notes=notes,
        op_times=ops,
    )


# What the classic tool prints as soon as it has made its CPU kernels.
_XNNPACK = "Created TensorFlow Lite XNNPACK delegate"


def _without_xnnpack() -> Finding:
    return Finding(
        level="warning",
        code="no-xnnpack",
        message="this build of benchmark_model does not use XNNPACK, which apps get by default: "
        "its CPU times are those of the slower built-in kernels",
        fix="use a build with XNNPACK, such as Google's",
    )


def _first(warmup: LatencySummary | None, file: ResultFile | None) -> int | None:
    """Dialect B reports the first inference only in its result file."""
    value = file.latency_ms.get("first") if file else None
    return int(value * 1_000_000) if warmup is not None and value else None


def _check_agreement(latency: LatencySummary, file: ResultFile) -> None:
    """Text and file are of the same launch: the file's floats have seven digits."""
    median_ms = file.latency_ms.get("median")
    count = file.misc.get("num_runs")
    if count is not None and count != latency.count:
        raise unusable_output(f"{latency.count} iterations printed, {count:g} in its result file")
    if median_ms is not None and abs(median_ms * 1e6 - latency.median_ns) > (
        1_000 + 1e-6 * latency.median_ns
    ):
        raise unusable_output("its result file and its output have different medians")


def _delegation(output: Output, delegate: str) -> tuple[dict[str, int], tuple[Finding, ...]]:
    """How many nodes the accelerator ran; an accelerator that ran nothing is an error."""
    ran = [r for r in output.replacements if "xnnpack" not in r.delegate.lower()]
    if delegate == "cpu":
        ran = list(output.replacements)
    nodes, total = sum(r.nodes for r in ran), max((r.total for r in ran), default=0)
    counters = {"delegated_nodes": nodes, "total_nodes": total} if ran else {}
    if delegate == "cpu":
        return counters, ()
    applied = {k: v for k, v in output.applied.items() if "xnnpack" not in k.lower()}
    if not nodes and not any(v in ("completely", "partially") for v in applied.values()):
        raise WorkerError(
            "launch",
            f"{delegate} was asked for and ran none of the model's nodes",
            f"measure with --delegate cpu, or use a model that {delegate} can run",
        )
    if not ran and set(applied.values()) == {"completely"}:
        # A build that is not for Android says only that all nodes were taken, not how many.
        return counters, (
            Finding(
                level="info",
                code="fully-delegated",
                message=f"{delegate} ran the whole graph; the runner did not number its nodes",
                fix="",
            ),
        )
    if not nodes and "partially" in applied.values():
        # Where nodes are counted, the check of that name reports them.
        return counters, (
            Finding(
                level="warning",
                code="partial-delegation",
                message=f"{delegate} ran only a part of the nodes; the rest ran on the CPU",
                fix="replace the operators that it does not support",
            ),
        )
    return counters, ()


def failure(exit_code: int, stdout: str, stderr: str) -> WorkerError | StableDeviceError:
    """What an exit status other than 0 means."""
    problems = [p for p in _problems(stdout, stderr) if p != "Benchmarking failed."]
    said = f": {clean(problems[0])}" if problems else ""
    tail = clean((stderr or stdout).strip().split("\n")[-1])
    if cannot_run := not_executable(exit_code, stdout, stderr):
        return cannot_run
    if exit_code == 137:
        return WorkerError(
            "launch",
            "the phone killed benchmark_model (status 137), most likely because memory ran out",
            "close other apps, or use a smaller model",
        )
    if exit_code > 128:
        return WorkerError(
            "launch",
            f"benchmark_model crashed (status {exit_code}, signal {exit_code - 128}){said}",
            OTHER_RUNNER,
        )
    if problems:
        return WorkerError(
            "launch",
            f"benchmark_model rejected the model or its flags (status {exit_code}){said}",
            "the model may need a newer runtime than the runner has; " + OTHER_RUNNER,
        )
    return WorkerError(
        "launch", f"benchmark_model failed (status {exit_code}: {tail})", OTHER_RUNNER
    )


# What shells say of a program for another ABI, and of one that may not be executed. mksh, which is
# Android's shell, answers 1 to the first and 126 to the second; bash answers 126 to both.
_WRONG_FORMAT = ("not executable:", "Exec format error", "cannot execute binary file")
_NO_PERMISSION = ("can't execute: Permission denied", "Permission denied")


def not_executable(exit_code: int, stdout: str, stderr: str) -> StableDeviceError | None:
    """Why the shell could not start the runner; None if it did start. The texts decide before the
    status, which differs from shell to shell."""
    last = clean((stderr or stdout).strip().split("\n")[-1])
    if exit_code == 0:
        return None
    if any(text in last for text in _WRONG_FORMAT):
        return StableDeviceError(
            "launch",
            f"the runner is not executable on this phone (status {exit_code}: {last})",
            "use a build for the phone's ABI, which `python -m harness devices` shows",
        )
    if exit_code == 126:
        return StableDeviceError(
            "launch",
            f"the phone may not execute the runner (status 126: {last})",
            "make it executable (chmod 755), or choose a folder from which programs may be run"
            if any(text in last for text in _NO_PERMISSION)
            else "use a build for the phone's ABI, which `python -m harness devices` shows",
        )
    if exit_code == 127:
        return StableDeviceError(
            "launch", f"the runner is not on the phone (status 127: {last})", OTHER_RUNNER
        )
    return None


def _problems(stdout: str, stderr: str) -> tuple[str, ...]:
    try:
        return read_output(stdout, stderr).problems
    except Malformed:
        return ()


def unusable_output(what: str) -> WorkerError:
    """The tool ended with status 0 but printed no usable result."""
    return WorkerError("launch", f"benchmark_model printed no usable result: {what}", OTHER_RUNNER)


def _without_flag(delegate: str) -> str:
    if delegate == "cpu":
        return OTHER_RUNNER
    return f"this build has no {delegate}; {OTHER_RUNNER}"
