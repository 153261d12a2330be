"""The number of multiply-accumulates of one inference, computed from shapes."""

from __future__ import annotations

from math import prod

from harness.artifacts.tflite.model import ABSENT, Operator, Subgraph

# The cost of these operators cannot be computed from shapes, so neither can the total.
_UNKNOWN = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "CALL",
        "CONV_3D_TRANSPOSE",
        "IF",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "WHILE",
    }
)

# Which extents of its kernel (input 1) an output is a sum over.
_SUMMED = {
    "CONV_2D": slice(1, None),  # (out, height, width, in)
    "CONV_3D": slice(0, 4),  # (depth, height, width, in, out)
    "DEPTHWISE_CONV_2D": slice(1, 3),  # (1, height, width, out)
    "FULLY_CONNECTED": slice(1, None),  # (out, in)
}


def of_graph(graph: Subgraph) -> int | None:
    """Multiply-accumulates of one run of `graph`; None if those of one operator are unknown."""
    total = 0
    for operator in graph.operators:
        count = of_operator(graph, operator)
        if count is None:
            return None
        total += count
    return total


def of_operator(graph: Subgraph, operator: Operator) -> int | None:
    """0 for operators that have none, None where the number is unknown."""
    kind = operator.kind
    if operator.custom or kind in _UNKNOWN or kind.startswith(("STABLEHLO_", "BUILTIN_")):
        return None
    if kind == "TRANSPOSE_CONV":  # inputs: shape, kernel (out, height, width, in), picture
        shapes = _shapes(graph, (*operator.inputs[1:3], *operator.outputs[:1]))
        return prod(shapes[0][:-1]) * prod(shapes[1]) if shapes else None
    if kind not in _SUMMED and kind != "BATCH_MATMUL":
        return 0
    shapes = _shapes(graph, (*operator.inputs[:2], *operator.outputs[:1]))
    if shapes is None:
        return None
    left, kernel, answer = shapes
    if kind in _SUMMED:
        return prod(answer) * prod(kernel[_SUMMED[kind]])
    transposed = operator.options is not None and operator.options.number(0, "B")
    return prod(answer) * prod(left[-2:-1] if transposed else left[-1:])


def _shapes(graph: Subgraph, indices: tuple[int, ...]) -> list[tuple[int, ...]] | None:
    """Three shapes; None if one is missing or not fixed."""
    shapes = [graph.tensors[index].shape for index in indices if index != ABSENT]
    fixed = all(min(shape, default=1) > 0 for shape in shapes)
    return shapes if len(shapes) == 3 and fixed else None
