"""Let one artifact answer examples of a split, in a process of its own that a broken model may
crash. It shares the host worker's loop and loader, and prepares pictures as input sets are.

Request: path, harness (the folder that it is in), model, runtime, threads, signature or null,
resources, images (a .npy of pictures (n, height, width) or (n, height, width, 3), which is mapped),
rows ([first, one after the last]), tensor and pixels (the input, and what it wants to be given).
Result: scores (dequantized, n x width in one list), width, step, clipped (numbers that the input's
type could not hold) of numbers, inference_ns.

Examples go in one by one, as on a phone: a batch was at most 13 % faster on two cores, and most
converted models refuse one. Before each, the model forgets the one before.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

CHUNK = 16
HOST_WORKER = Path(__file__).parents[1] / "devices" / "host" / "worker.py"


def host_worker() -> Any:
    """The host's worker, read from its file: no harness is found from here."""
    spec = importlib.util.spec_from_file_location("host_worker", HOST_WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(request: dict[str, Any], say: Any) -> dict[str, Any]:
    """Carry out the request and return the result."""
    say(stage="import")
    import numpy as np

    host = host_worker()
    make_interpreter = host.interpreter_class(request["runtime"])
    sys.path.insert(0, request["harness"])  # the other packages are on it already
    import msgspec

    from harness.core.types import Pixels, TensorInfo
    from harness.data.inputs import given

    tensor = msgspec.convert(request["tensor"], TensorInfo)
    pixels = msgspec.convert(request["pixels"], Pixels)
    say(stage="images")
    images = np.load(request["images"], mmap_mode="r", allow_pickle=False)
    first, last = request["rows"]
    say(stage="load")
    model = host.Model(request, make_interpreter)
    (details,), (asked,) = model.given, model.asked
    say(stage="answers")
    scores: list[float] = []
    width = clipped = numbers = inference_ns = 0
    for start in range(first, last, CHUNK):
        shown = given(tensor, images[start : min(start + CHUNK, last)], pixels)
        clipped += shown.clipped
        numbers += shown.values.size
        for example in shown.values:
            model.forget()
            model.set_inputs([example.reshape(details["shape"])])
            began = perf_counter_ns()
            model.invoke()
            inference_ns += perf_counter_ns() - began
            answer = model.answer()
            width = len(answer)
            scores += answer
        say(stage="answers", done=min(start + CHUNK, last) - first)
    if not all(s - s == 0 for s in scores):
        raise ValueError("an answer is not a finite number")
    return {
        "scores": scores,
        "width": width,
        "step": float(asked["quantization"][0]),
        "clipped": clipped,
        "numbers": numbers,
        "inference_ns": inference_ns,
    }


if __name__ == "__main__":
    sys.exit(host_worker().serve(answers))
