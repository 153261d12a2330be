#!/usr/bin/env python3
"""An executable that behaves like Google's benchmark_model and really runs the model.

It runs on an emulated phone, as a file of its own: nothing of the harness is imported. It takes
the flags of the two dialects, A (classic Interpreter) and B (LiteRT CompiledModel), prints their
output and writes their result file. Whatever it measures is this machine's time.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import struct
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

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
        "require_full_delegation": False,
    },
    "B": {
        "use_cpu": True,
        "use_gpu": False,
        "use_npu": False,
        "model_runtime_info_output_file": "",
        "use_profiler": False,
    },
}

# Flags that dialect A has only in builds with an accelerator; without one they are unknown to it.
ACCELERATED: Flags = {"use_gpu": False, "gpu_precision_loss_allowed": True, "use_nnapi": False}
ACCELERATORS = {  # flag -> what the tool calls it, the name of its delegate
    "use_gpu": ("GPU", "TfLiteGpuDelegateV2"),
    "use_nnapi": ("NNAPI", "TfLiteNnapiDelegate"),
    "use_npu": ("NPU", "TfLiteNpuDelegate"),
}

ROOT = Path(os.environ.get("EMULATED_ROOT", "/nonexistent"))


def state(name: str, default: str) -> str:
    """What the emulated phone says about itself."""
    try:
        return (ROOT / "state" / name).read_text().strip() or default
    except OSError:
        return default


def say(text: str, level: str = "INFO") -> None:
    """Information and warnings on standard output, errors on standard error."""
    stream = sys.stderr if level in ("ERROR", "FATAL") else sys.stdout
    stream.write(f"{level}: {text}\n")
    stream.flush()


def log(text: str, level: str = "INFO") -> None:
    """What the runtime says, not the tool: it goes to standard error."""
    sys.stderr.write(f"{level}: {text}\n")
    sys.stderr.flush()


class Failed(Exception):
    """Ends the tool with status 1, after its message."""


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


class Model:
    """The model behind the two calls the benchmark needs."""

    def __init__(self, flags: Flags) -> None:
        if not flags["graph"]:
            raise Failed("Please specify the name of your TF Lite input file with --graph")
        self._interpreter: Any = None
        self._fixed_s = int(state("fixed_latency_us", "0")) / 1e6
        self.init_us = 0
        if not self._fixed_s:
            self._load(flags)

    def _load(self, flags: Flags) -> None:
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        start = time.perf_counter_ns()  # a native tool has no imports to wait for
        threads = flags["num_threads"]
        try:
            self._interpreter = Interpreter(
                model_path=flags["graph"], num_threads=threads if threads > 0 else None
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            for line in str(error).splitlines():
                say(line, "ERROR")
            raise Failed(f"Failed to load model {flags['graph']}") from None
        self.init_us = (time.perf_counter_ns() - start) // 1000
        files = value_files(flags.get("input_layer_value_files", ""))
        layers = [name for name in flags.get("input_layer", "").split(",") if name]
        for name in files:
            if name not in layers:
                say(f"Cannot find the corresponding input_layer name({name}) in --input_layer as "
                    f"{flags['input_layer']}", "FATAL")  # fmt: skip
                abort()
        rng = np.random.default_rng(0)
        for number, detail in enumerate(self._interpreter.get_input_details()):
            shape, dtype = detail["shape"], detail["dtype"]
            called = layers[number] if number < len(layers) else detail["name"]
            if called != detail["name"]:
                say(
                    f"Tensor # {number} is named {detail['name']} but flags call it {called}",
                    "WARN",
                )
            if called in files:
                values = read_values(files[called], shape, dtype)
            elif np.issubdtype(dtype, np.floating):
                values = rng.uniform(-0.5, 0.5, shape).astype(dtype)
            else:
                info = np.iinfo(dtype)
                values = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
            self._interpreter.set_tensor(detail["index"], values)

        self._invoke = self._interpreter.invoke
        if flags["signature_to_run_for"]:
            self._use_signature(flags["signature_to_run_for"])

    def _use_signature(self, key: str) -> None:
        if key not in self._interpreter.get_signature_list():
            say(f"Failed to find signature {key}", "ERROR")
            raise Failed("Failed to initialize the interpreter")
        runner = self._interpreter.get_signature_runner(key)
        wrapper, subgraph = runner._interpreter_wrapper, runner._subgraph_index
        wrapper.AllocateTensors(subgraph)
        self._invoke = lambda: wrapper.Invoke(subgraph)

    def invoke(self) -> None:
        """One inference."""
        if self._interpreter is None:
            time.sleep(self._fixed_s * random.uniform(0.99, 1.01))
        else:
            self._invoke()

    def node_counts(self) -> tuple[int, int, int]:
        """Nodes that XNNPACK replaced, all nodes, and the partitions that came of it. Python is
        told only what goes into and comes out of a delegate's node: between them lie its nodes."""
        if self._interpreter is None:
            return 0, 1, 1
        listed = self._interpreter._get_ops_details()
        plain = {op["index"]: op for op in listed if op["op_name"] != "DELEGATE"}
        makers = {int(t): n for n, op in plain.items() for t in op["outputs"]}
        taken: set[int] = set()
        for op in listed:
            if op["op_name"] == "DELEGATE":
                given = {int(t) for t in op["inputs"]}
                wanted = [int(t) for t in op["outputs"]]
                while wanted:
                    tensor = wanted.pop()
                    node = makers.get(tensor)
                    if node is not None and tensor not in given and node not in taken:
                        taken.add(node)
                        wanted += [int(t) for t in plain[node]["inputs"]]
        sides = [number in taken for number in sorted(plain)]
        changes = sum(a != b for a, b in itertools.pairwise(sides))
        return len(taken), len(plain), changes + 1

    def ops(self) -> list[tuple[str, str, int]]:
        """(kind, name, bytes that it touches) of each operator."""
        if self._interpreter is None:
            return [("SLEEP", "[sleep]:0", 1)]
        tensors = {d["index"]: d for d in self._interpreter.get_tensor_details()}
        found = []
        for op in self._interpreter._get_ops_details():
            if op["op_name"] == "DELEGATE":
                continue  # it stands for operators that are listed too
            touched = [tensors[i] for i in (*op["inputs"], *op["outputs"]) if i in tensors]
            size = sum(max(1, int(t["shape"].prod())) for t in touched)
            last = tensors.get(op["outputs"][-1]) if len(op["outputs"]) else None
            name = f"[{last['name'] if last else ''}]:{op['index']}"
            found.append((op["op_name"], name, size))
        return found

    def write_outputs(self, path: str) -> None:
        """All outputs, one after the other, as they are in memory."""
        details = self._interpreter.get_output_details()
        data = b"".join(self._interpreter.get_tensor(d["index"]).tobytes() for d in details)
        Path(path).write_bytes(data)


def value_files(text: str) -> dict[str, str]:
    """`name:path,name:path`; a colon in a name is written twice."""
    pairs = {}
    for item in filter(None, text.split(",")):
        name, _, path = item.replace("::", "\0").partition(":")
        pairs[name.replace("\0", ":")] = path.replace("\0", ":")
    return pairs


def read_values(path: str, shape: Any, dtype: Any) -> Any:
    """Raw bytes of exactly the tensor's size; the real tool aborts otherwise."""
    import numpy as np

    try:
        data = Path(path).read_bytes()
    except OSError:
        say(f"Failed to read the input_layer_value_file:{path}", "FATAL")
        abort()
    if len(data) != int(np.prod(shape)) * np.dtype(dtype).itemsize:
        say(f"Input value file {path} has a wrong size", "FATAL")
        abort()
    return np.frombuffer(data, dtype).reshape(shape)


def abort() -> NoReturn:
    """Die of SIGABRT, which a shell shows as 134."""
    sys.stdout.flush()
    os.abort()


def loop(model: Model, runs: int, min_secs: float, max_secs: float, flags: Flags) -> list[int]:
    """Times of single inferences, in microseconds."""
    say(
        f"Running benchmark for at least {runs} iterations and at least {min_secs:g} seconds "
        f"but terminate if exceeding {max_secs:g} seconds."
    )
    delay = flags["run_delay"]
    if flags["run_frequency"] > 0:
        delay = 1.0 / flags["run_frequency"]
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
        if delay > 0:
            pause = delay - spent / 1e9 if flags["run_frequency"] > 0 else delay
            time.sleep(max(0.0, pause))
    say(describe(times) + "\n")
    return times


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


def run(flags: Flags, dialect: str) -> None:
    """Load, warm up, measure, report."""
    fail_on_purpose(state("runner_fault", ""))
    say(f"Graph: [{flags['graph']}]")
    model = Model(flags)
    init = model.init_us
    say(f"Loaded model {flags['graph']}")
    delegate(model, flags)
    size = Path(flags["graph"]).stat().st_size / 1e6
    say(f"The input model file size (MB): {size:g}")
    say(f"Initialized session in {init / 1000:g}ms.")
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
        model.write_outputs(flags["output_filepath"])
    if flags["result_file_path"]:
        say(f"Saving benchmark result to: {flags['result_file_path']}")
        try:
            Path(flags["result_file_path"]).write_bytes(result_file(flags, init, warmup, times))
        except OSError:
            say(f"Failed to save benchmark result to: {flags['result_file_path']}", "ERROR")
        else:
            say(f"Saved benchmark result to: {flags['result_file_path']}")


def delegate(model: Model, flags: Flags) -> None:
    """Say which nodes run where. The phone has no accelerator: what it is told to claim for one
    (`accelerator=`) changes these lines only, the CPU computes all the same."""
    nodes, total, partitions = model.node_counts()
    asked = [flag for flag in ACCELERATORS if flags.get(flag)]
    if not asked:
        log("Created TensorFlow Lite XNNPACK delegate for CPU.")
        if nodes:
            replaced(nodes, total, "TfLiteXNNPackDelegate", partitions)
        return
    name, kernel = ACCELERATORS[asked[0]]
    claim = state("accelerator", "none")
    nodes = {"all": total, "part": (total + 1) // 2, "none": 0}[claim]
    if nodes:
        log(f"Created TensorFlow Lite delegate for {name}.")
        replaced(nodes, total, kernel, 1 if nodes == total else 2)
    if "use_cpu" in flags:
        if nodes < total and not flags["use_cpu"]:
            log(
                "Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu to the compilation "
                "accelerator set to allow using the CPU to run those.",
                "ERROR",
            )
            raise Failed("Failed to create the compiled model")
    elif nodes:
        share = "completely" if nodes == total else "partially"
        kernels = "" if nodes == total else " w/ 1 delegate kernels"
        say(
            f"Explicitly applied {name} delegate, and the model graph will be {share} executed "
            f"by the delegate{kernels}."
        )
    else:
        say(
            f"Though {name} delegate is explicitly applied, the model graph will not be executed "
            "by the delegate."
        )


def replaced(nodes: int, total: int, kernel: str, partitions: int) -> None:
    """The line with which a build for Android tells of delegation."""
    log(
        f"Replacing {nodes} out of {total} node(s) with delegate ({kernel}) node, yielding "
        f"{partitions} partitions for subgraph 0.",
        "VERBOSE",
    )


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
    """Dialect A's op-level profile. What single operators take cannot be seen from Python: the
    measured time is shared out by the size of the tensors they touch."""
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


def main(argv: list[str]) -> int:
    """The tool."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
