"""Whether a .tflite file answers with probabilities or logits, read from its last operators."""

from __future__ import annotations

from harness.artifacts.tflite import model as tflite
from harness.core.types import AnswerKind

_PROBABILITIES = frozenset({"LOGISTIC", "SOFTMAX"})
# With an activation that these have built in, such as ReLU, they give neither.
_LOGITS = frozenset(
    {
        *("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"),
        "LOG_SOFTMAX",  # a softmax makes of it the probabilities that it is the logarithm of
    }
)
_PASSING = frozenset(
    {
        *("AVERAGE_POOL_2D", "CAST", "DEQUANTIZE", "EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "MEAN"),
        *("QUANTIZE", "REDUCE_MAX", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"),
    }
)
# Logits that a constant scales or moves are still logits; probabilities are no longer such.
_SCALING = frozenset({"DIV", "MUL", "SUB"})
# The field of an operator's options that holds the built-in activation (LiteRT's schema.fbs).
_ACTIVATION_AT = {
    "DIV": 0,
    "MUL": 0,
    "SUB": 0,
    "ADD": 0,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 0,
}


def kind(graph: tflite.Subgraph, output: int) -> AnswerKind | None:
    """What the tensor `output` of `graph` holds; None where its operators do not tell."""
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    seen: set[int] = set()
    scaled = False
    while output not in seen and (maker := makers.get(output)):
        seen.add(output)
        if maker.kind in _PROBABILITIES:
            return None if scaled else "probabilities"
        if maker.kind in _LOGITS:
            return None if _has_activation(maker) else "logits"
        if (
            maker.kind in _SCALING
            and len(maker.inputs) == 2
            and _is_positive(graph, maker.inputs[1])
        ):
            scaled = True
            if _has_activation(maker):
                return None
        elif maker.kind not in _PASSING or not maker.inputs:
            return None
        output = maker.inputs[0]
    return None


def _is_positive(graph: tflite.Subgraph, index: int) -> bool:
    """Whether it is a single positive number, so that the largest answer stays the largest."""
    if index == tflite.ABSENT:
        return False
    tensor = graph.tensors[index]
    if tensor.elements != 1 or tensor.dtype not in ("float32", "float16") or not tensor.data.size:
        return False
    return bool(tensor.data.view(tensor.dtype)[0] > 0)


def _has_activation(operator: tflite.Operator) -> bool:
    place = _ACTIVATION_AT.get(operator.kind)
    return (
        place is not None
        and operator.options is not None
        and (operator.options.number(place, "b") != 0)
    )
