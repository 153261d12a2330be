"""The only process that imports litert-quantizer: `python -m harness.artifacts.quantize.child`.

Reads a request from standard input, writes the file, and answers on standard output; whatever the
library prints goes to standard error, which is the log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.artifacts.quantize.mixed import choose
from harness.artifacts.quantize.protocol import Quantized, QuantizeRequest
from harness.core.types import LayerError

# Operators that only move numbers; they have no error of their own.
_MOVING = frozenset({"CAST", "DEQUANTIZE", "PACK", "PAD", "QUANTIZE", "RESHAPE", "TRANSPOSE"})
_IMAGES_COMPARED = 16


class _File:
    """The float file and ways to make it smaller."""

    def __init__(self, request: QuantizeRequest) -> None:
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        self._request = request
        self._inputs = None if request.inputs is None else np.load(request.inputs)
        interpreter = Interpreter(model_path=request.source)
        signatures = interpreter.get_signature_list()
        key = request.signature or next(iter(signatures), None)
        self._feed: tuple[str | None, str]
        if key is not None:
            self._feed = key, signatures[key]["inputs"][0]
        else:
            self._feed = None, interpreter.get_input_details()[0]["name"]
        self._ranges: Any = None

    def made(self, recipe: Any) -> bytes:
        """The file with the quantizer's `recipe`, calibrated once if it needs to be."""
        from litert_quantizer import quantizer

        made = quantizer.Quantizer(self._request.source)
        made.load_quantization_recipe(recipe)
        if self._ranges is None and made.need_calibration:
            assert self._inputs is not None
            key, name = self._feed
            # One by one: over several examples the library takes a moving average, which would cut
            # off the brightest images and part of the input's range.
            self._ranges = _widest(
                made.calibrate({key: [{name: example}]}, num_threads=2) for example in self._inputs
            )
        return bytes(made.quantize(self._ranges).quantized_model or b"")

    def int8(self, names: Sequence[str], only: bool) -> bytes:
        """The file with only the layers `names` in int8, or with all others in int8."""
        import re

        from litert_quantizer import recipe_manager
        from litert_quantizer.algorithm_manager import AlgorithmName
        from litert_quantizer.qtyping import TFLOperationName

        every = TFLOperationName.ALL_SUPPORTED
        recipe = recipe_manager.RecipeManager()
        scopes = [f"^{re.escape(name)}(;|$)" for name in names]
        if not only:
            recipe.add_static_config(".*", every, activation_num_bits=8, weight_num_bits=8)
        for scope in scopes:
            if only:
                recipe.add_static_config(scope, every, activation_num_bits=8, weight_num_bits=8)
            else:
                recipe.add_quantization_config(
                    scope, every, algorithm_key=AlgorithmName.NO_QUANTIZE
                )
        return self.made(recipe.get_quantization_recipe())

    def layers(self) -> dict[str, str]:
        """Name -> kind of the operators that compute."""
        from harness.artifacts.tflite import model as tflite

        graph = tflite.read(Path(self._request.source).read_bytes()).subgraphs[0]
        return {
            graph.tensors[operator.outputs[0]].name: operator.kind
            for operator in graph.operators
            if operator.outputs and operator.kind not in _MOVING
        }

    def answers(self, data: bytes) -> Any:
        """(n, values): a file's answers to the first calibration images, dequantized."""
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        assert self._inputs is not None
        interpreter = Interpreter(model_content=data)
        interpreter.allocate_tensors()
        given, asked = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        said = []
        for example in self._inputs[:_IMAGES_COMPARED]:
            interpreter.set_tensor(given["index"], _in_steps(example, given))
            interpreter.invoke()
            answer = interpreter.get_tensor(asked["index"]).astype(np.float64).ravel()
            scale, zero = asked["quantization"]
            said.append((answer - zero) * scale if scale else answer)
        return np.array(said)


def _widest(ranges: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The minimum and the maximum of each tensor over all examples."""
    import numpy as np

    merged: dict[str, Any] = {}
    for found in ranges:
        for tensor, values in found.items():
            known = merged.setdefault(tensor, dict(values))
            if "min" in values and "max" in values:
                known["min"] = np.minimum(known["min"], values["min"])
                known["max"] = np.maximum(known["max"], values["max"])
    return merged


def _in_steps(example: Any, given: Any) -> Any:
    import numpy as np

    scale, zero = given["quantization"]
    if not scale:
        return example.astype(given["dtype"])
    limits = np.iinfo(given["dtype"])
    return np.clip(np.rint(example / scale + zero), limits.min, limits.max).astype(given["dtype"])


def _carry_out(request: QuantizeRequest) -> tuple[bytes, Quantized]:
    file = _File(request)
    if request.recipe == "int8":
        return file.int8((), False), Quantized()
    if request.recipe == "int8-mixed":
        reference = file.answers(Path(request.source).read_bytes())
        from harness.artifacts.tflite.model import layer_name

        kinds = file.layers()
        chosen = choose(list(kinds), file.int8, file.answers, reference, request.largest_error)
        ordered = sorted(chosen.errors, key=lambda name: -chosen.errors[name])
        layers = tuple(
            LayerError(
                name=layer_name(n), op=kinds[n], error=chosen.errors[n], kept=n in chosen.kept
            )
            for n in ordered
        )
        return chosen.data, Quantized(
            layers=layers, error_int8=chosen.error_int8, error=chosen.error
        )
    return file.made(_without_calibration(request.recipe)), Quantized()


def _without_calibration(recipe: str) -> Any:
    from litert_quantizer import qtyping, recipe_manager
    from litert_quantizer import recipe as recipes
    from litert_quantizer.algorithm_manager import AlgorithmName

    if recipe == "dynamic_range":
        return recipes.dynamic_wi8_afp32()
    manager = recipe_manager.RecipeManager()
    manager.add_quantization_config(
        ".*",
        qtyping.TFLOperationName.ALL_SUPPORTED,
        qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        AlgorithmName.FLOAT_CASTING,
    )
    return manager.get_quantization_recipe()


def main() -> int:
    """Answer on the real standard output; 1 with a refusal if it cannot be done."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=QuantizeRequest)
    try:
        data, found = _carry_out(request)
        Path(request.target).write_bytes(data)
    except Exception as error:
        import traceback

        traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        found = Quantized(refusal=text)
    answer.write(msgspec.json.encode(found))
    answer.flush()
    return 1 if found.refusal else 0


if __name__ == "__main__":
    sys.exit(main())
