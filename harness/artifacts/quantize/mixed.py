"""Which layers to keep in float, so that an int8 file gives the answers of its float parent.

Each layer is quantized alone, the rest left in float, and the answers are compared with the float
file's: the root of the mean squared difference over the standard deviation from image to image.
Then the worst layers are kept in float, more and more of them, until the whole file's error is
small enough. Only calibration images are used, never the images that judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Answers = Any
Quantize = Callable[[Sequence[str], bool], bytes]
Run = Callable[[bytes], Answers]


class Chosen(NamedTuple):
    """`errors` by layer, `kept` in float, the error without and with them, and the file."""

    errors: dict[str, float]
    kept: tuple[str, ...]
    error_int8: float
    error: float
    data: bytes


def choose(
    layers: Sequence[str], quantize: Quantize, run: Run, reference: Answers, largest_error: float
) -> Chosen:
    """`quantize(names, only)` makes a file in which only the layers `names` are int8, or all but
    them; `run` gives its answers."""
    data = quantize((), False)
    whole = error(run(data), reference)
    if whole <= largest_error:
        return Chosen({}, (), whole, whole, data)
    errors = {name: error(run(quantize((name,), True)), reference) for name in layers}
    worst = sorted(layers, key=lambda name: -errors[name])
    best = Chosen(errors, (), whole, whole, data)
    for count in _counts(len(layers)):
        data = quantize(worst[:count], False)
        now = error(run(data), reference)
        if now < best.error:
            best = Chosen(errors, tuple(worst[:count]), whole, now, data)
        if now <= largest_error:
            break
    return best


def error(answers: Answers, reference: Answers) -> float:
    """How far answers (n, values) are from those of the float file, as a share of how much these
    differ from image to image: a value that is the same for all images carries no information."""
    import numpy as np

    spread = float(np.sqrt(np.mean((reference - reference.mean(axis=0)) ** 2))) or 1.0
    return float(np.sqrt(np.mean((answers - reference) ** 2))) / spread


def _counts(layers: int) -> list[int]:
    """1, 2, 3, 4, 5, 6, 8 ... up to half of the layers (up to three in a small network): with more,
    the file would hardly be int8."""
    counts = [1, 2, 3]
    while counts[-1] * 4 // 3 <= layers // 2:
        counts.append(counts[-1] * 4 // 3 if counts[-1] > 3 else 4)
    return [count for count in counts if count <= max(min(3, layers - 1), layers // 2)]
