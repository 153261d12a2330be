"""The flags of both dialects."""

from __future__ import annotations

from typing import Any

from .console import Failed, say, state

Flags = dict[str, Any]

BASE: Flags = {
    "graph": "",
    "num_runs": 50,
    "min_secs": 1.0,
    "max_secs": 150.0,
    "run_delay": -1.0,
    "run_frequency": -1.0,
    "num_threads": -1,
    "warmup_runs": 1,
    "warmup_min_secs": 0.5,
    "report_peak_memory_footprint": False,
    "result_file_path": "",
    "signature_to_run_for": "",
    "benchmark_name": "",
    "input_layer_value_range": "",
    "help": False,
}
DIALECTS: dict[str, Flags] = {
    "A": {
        "input_layer": "",
        "input_layer_shape": "",
        "input_layer_value_files": "",
        "output_filepath": "",
        "enable_op_profiling": False,
        "op_profiling_output_mode": "stdout",
        "op_profiling_output_file": "",
        "use_xnnpack": False,
        "xnnpack_weight_cache_file_path": "",
        "delegate_serialize_dir": "",
        "delegate_serialize_token": "",
        "require_full_delegation": False,
    },
    "B": {
        "use_cpu": True,
        "use_gpu": False,
        "use_npu": False,
        "gpu-precision": "auto",
        "xnnpack_weight_cache_file_path": "",
        "gpu_serialization_dir": "",
        "gpu_model_cache_key": "",
        "compiler_cache_path": "",
        "dispatch_library_path": "",
        "compiler_plugin_library_path": "",
        "model_runtime_info_output_file": "",
        "use_profiler": False,
    },
}

# Flags that dialect A has only in builds with an accelerator; without one they are unknown to it.
ACCELERATED: Flags = {"use_gpu": False, "gpu_precision_loss_allowed": True, "use_nnapi": False}


def parse(argv: list[str], defaults: Flags) -> Flags:
    """Flags by name; unknown ones are only warned about, as in the real tool."""
    flags, unknown = dict(defaults), []
    for argument in argv:
        name, _, value = argument.removeprefix("--").partition("=")
        if name not in flags or not argument.startswith("--"):
            unknown.append(argument)
            continue
        kind = type(flags[name])
        try:
            flags[name] = value in ("", "true", "1") if kind is bool else kind(value)
        except ValueError:
            raise Failed(f"Failed to parse flag '{name}' against argv '{argument}'") from None
    if state("runner_fault", "") == "unknown_flag":
        unknown.append("--num_threads=1")
    if unknown:
        say("Unconsumed cmdline flags: " + " ".join(unknown), "WARN")
    return flags


def usage(defaults: Flags) -> None:
    """The table of flags, on standard error; the status is 1, as in the real tool."""
    lines = ["usage: benchmark_model <flags>", "Flags:"]
    kinds = {int: "int32", float: "float", bool: "bool", str: "string"}
    for name, value in defaults.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"\t{f'--{name}={shown}':47}\t{kinds[type(value)]}\toptional\t")
    say("\n".join(lines) + "\n", "ERROR")
