"""The model, run by this Python's litert."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from pathlib import Path
from typing import Any

from .console import Failed, abort, say, state
from .flags import Flags

# The whole numbers that the real tool draws, ends included; (0, 99) for every other type. Source:
# CreateRandomTensorData in tensorflow/lite/tools/utils.cc.
DRAWN = {"uint8": (0, 254), "int8": (-127, 127), "bool": (0, 1)}


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
                low, high = DRAWN.get(np.dtype(dtype).name, (0, 99))
                values = rng.integers(low, high, shape, endpoint=True).astype(dtype)
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
        """Nodes that XNNPACK replaced, all nodes, and the resulting partitions. Python sees only
        the inputs and outputs of a delegate's node; the replaced nodes are those between them."""
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
                continue  # a delegate's node, whose operators are listed too
            touched = [tensors[i] for i in (*op["inputs"], *op["outputs"]) if i in tensors]
            size = sum(max(1, int(t["shape"].prod())) for t in touched)
            last = tensors.get(op["outputs"][-1]) if len(op["outputs"]) else None
            name = f"[{last['name'] if last else ''}]:{op['index']}"
            found.append((op["op_name"], name, size))
        return found

    def write_outputs(self, path: str, fault: str = "") -> None:
        """All outputs, one after the other, as they are in memory; changed by an accelerator's
        fault. The real tool prints nothing about a file that it cannot write."""
        details = self._interpreter.get_output_details()
        arrays = [spoiled(self._interpreter.get_tensor(d["index"]), fault) for d in details]
        with contextlib.suppress(OSError):
            Path(path).write_bytes(b"".join(array.tobytes() for array in arrays))


def spoiled(values: Any, fault: str) -> Any:
    """Scores as a broken accelerator gives them: those of another class, or not finite."""
    import numpy as np

    floats = np.issubdtype(values.dtype, np.floating)
    if fault == "nan" and floats:
        return np.full_like(values, np.nan)
    if not fault:
        return values
    if values.size > 1:
        return np.roll(values, 1)
    return 1 - values if floats else np.invert(values)


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
