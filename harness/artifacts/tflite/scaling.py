"""The range of pixel values that a .tflite file expects, read from the arithmetic at its input.

A network that scales its pixels itself (`x / 255.`, a Rescaling layer, Div and Sub in ONNX, a batch
normalization as the first layer) begins with MUL, DIV, ADD and SUB by constants.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.artifacts.tflite import model as tflite
from harness.core.pixels import MOST_CHANNELS, Pixels, Scaled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Operators that pass pixels on, some in another place or another type.
_PASSING = frozenset(
    {
        *("CAST", "DEQUANTIZE", "EXPAND_DIMS", "MIRROR_PAD", "PAD", "PADV2", "QUANTIZE", "RESHAPE"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SLICE", "SQUEEZE"),
        *("STRIDED_SLICE", "TRANSPOSE"),
    }
)
_ARITHMETIC = frozenset({"ADD", "DIV", "MUL", "SUB"})
_MOST_STEPS = 32


def pixels(graph: tflite.Subgraph, given: int) -> Pixels | None:
    """The range that the arithmetic on the tensor `given` is made for; None if there is none, or
    if it leaves several open."""
    scaled = Scaled()
    for _ in range(_MOST_STEPS):
        users = [operator for operator in graph.operators if given in operator.inputs]
        if len(users) != 1 or len(users[0].outputs) != 1:
            break
        (user,) = users
        if user.kind in _ARITHMETIC:
            step = _step(graph, user, given)
            if step is None:
                break
            try:
                scaled = scaled.then(*step)
            except ValueError:  # of another number of channels
                break
        elif user.kind not in _PASSING and not _only_repeats(user, given):
            break
        (given,) = user.outputs
    if not all(map(math.isfinite, (*scaled.scale, *scaled.offset))):
        return None
    return scaled.pixels


def _only_repeats(operator: tflite.Operator, given: int) -> bool:
    """Whether it puts the same pixels side by side, such as a grey picture into three channels."""
    return operator.kind == "CONCATENATION" and set(operator.inputs) == {given}


def _step(
    graph: tflite.Subgraph, operator: tflite.Operator, given: int
) -> tuple[list[float], list[float]] | None:
    """(scale, offset) of one operator with a constant; None if it has none."""
    if len(operator.inputs) != 2 or tflite.ABSENT in operator.inputs:
        return None
    first = operator.inputs[0] == given
    constant = _constant(graph, operator.inputs[1 if first else 0])
    if constant is None:
        return None
    if operator.kind == "MUL":
        return constant.tolist(), [0.0]
    if operator.kind == "ADD":
        return [1.0], constant.tolist()
    if operator.kind == "SUB":
        return ([1.0], (-constant).tolist()) if first else ([-1.0], constant.tolist())
    return ((1 / constant).tolist(), [0.0]) if first and constant.all() else None


def _constant(graph: tflite.Subgraph, index: int) -> NDArray[np.float64] | None:
    """The few numbers of a constant, 1-D; those that are stored as others, unpacked."""
    import numpy as np

    makers = [o for o in graph.operators if index in o.outputs and o.kind == "DEQUANTIZE"]
    tensor = graph.tensors[makers[0].inputs[0] if makers and makers[0].inputs else index]
    known = tensor.dtype.startswith(("float", "int", "uint")) and tflite.bits(tensor.dtype) >= 8
    if not known or tensor.dtype.startswith("float8") or tensor.sparse or not tensor.data.size:
        return None
    if not 1 <= tensor.elements <= MOST_CHANNELS or max(tensor.shape, default=1) != math.prod(
        tensor.shape
    ):
        return None
    values = tensor.data.view(np.dtype(tensor.dtype).newbyteorder("<")).astype(np.float64)
    if len(tensor.scales) == 1 and tensor.scales[0]:
        values = (values - (*tensor.zero_points, 0)[0]) * tensor.scales[0]
    return np.asarray(values)
