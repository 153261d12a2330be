"""Let one artifact answer every example of a split. Stands alone on purpose, like the host worker,
whose loop and loader it shares: only the runtime and numpy, started in a process of its own that a
broken model may crash.

Request: path, model, runtime, threads, signature or null, images (a .npy of grey pictures
(n, height, width) in the input's own scale). Result: scores, width, step. Scores are dequantized,
n x width in one list.

Examples go in one by one, as on a phone: a batch was at most 13 % faster on two cores, and most
converted models refuse one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

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
    say(stage="images")
    images = np.load(request["images"], mmap_mode="r", allow_pickle=False)
    say(stage="load")
    model = host.Model(request, make_interpreter)
    (given,), (asked,) = model.given, model.asked
    say(stage="answers")
    scores: list[float] = []
    width = 0
    for image in images:
        example = np.broadcast_to(image[None, :, :, None], given["shape"]).astype(given["dtype"])
        model.set_inputs([example])
        model.invoke()
        answer = model.answer()
        width = len(answer)
        scores += answer
    if not all(s - s == 0 for s in scores):
        raise ValueError("an answer is not a finite number")
    return {"scores": scores, "width": width, "step": float(asked["quantization"][0])}


if __name__ == "__main__":
    sys.exit(host_worker().serve(answers))
