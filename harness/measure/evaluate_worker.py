"""Let one artifact answer every example of a split. Stands alone on purpose, like the host worker:
only the runtime and numpy, started in a process of its own that a broken model may crash.

It reads one JSON request from standard input (model, runtime, threads, signature or null, images:
a .npy of grey pictures (n, height, width) in the input's own scale) and answers with JSON lines:
`{"stage": ...}` as it enters each stage, last `{"result": {"scores", "width", "step"}}` or
`{"error": {"stage", "message"}}`. Scores are dequantized, n x width in one list.

Examples go in one by one, as on a phone: a batch was at most 13 % faster on two cores, and most
converted models refuse one.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

RUNTIMES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


def answers(request: dict[str, Any], say: Any) -> dict[str, Any]:
    """Carry out the request and return the result."""
    say(stage="import")
    import numpy as np

    make_interpreter = importlib.import_module(RUNTIMES[request["runtime"]]).Interpreter
    say(stage="images")
    images = np.load(request["images"], mmap_mode="r", allow_pickle=False)
    say(stage="load")
    interpreter = make_interpreter(model_path=request["model"], num_threads=request["threads"])
    call, given, asked = _signature(interpreter, request["signature"])
    say(stage="answers")
    scale, zero_point = asked["quantization"]
    scores: list[float] = []
    width = 0
    for image in images:
        example = np.broadcast_to(image[None, :, :, None], given["shape"]).astype(given["dtype"])
        raw = call(example).astype("float64").ravel()
        width = raw.size
        scores.extend(((raw - zero_point) * scale if scale else raw).tolist())
    if not all(s - s == 0 for s in scores):
        raise ValueError("an answer is not a finite number")
    return {"scores": scores, "width": width, "step": float(scale)}


def _signature(interpreter: Any, key: str | None) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """(function from an input to the output, details of the input, details of the output)."""
    if key is not None:
        runner = interpreter.get_signature_runner(key)
        ((name, given),) = runner.get_input_details().items()
        ((output, asked),) = runner.get_output_details().items()
        return lambda example: runner(**{name: example})[output], given, asked
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (asked,) = interpreter.get_output_details()

    def call(example: Any) -> Any:
        interpreter.set_tensor(given["index"], example)
        interpreter.invoke()
        return interpreter.get_tensor(asked["index"])

    return call, given, asked


def main() -> int:
    """Answer on the real standard output; whatever libraries print there goes to stderr."""
    answer = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    stage = ["start"]

    def say(**line: Any) -> None:
        stage[0] = line.get("stage", stage[0])
        answer.write(json.dumps(line) + "\n")

    try:
        say(result=answers(json.load(sys.stdin), say))
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        say(error={"stage": stage[0], "message": text[:500]})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
