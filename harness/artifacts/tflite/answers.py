"""Whether a .tflite file answers with probabilities or logits, read from its last operators."""

from __future__ import annotations

from harness.artifacts.tflite import model as tflite
from harness.core.types import AnswerKind

_PROBABILITIES = frozenset({"LOGISTIC", "SOFTMAX"})
# With an activation that these have built in, such as ReLU, they give neither.
_LOGITS = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"})
_PASSING = frozenset({"CAST", "DEQUANTIZE", "MEAN", "QUANTIZE", "RESHAPE", "SQUEEZE"})
# The field of an operator's options that holds the built-in activation (LiteRT's schema.fbs).
_ACTIVATION_AT = {"ADD": 0, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 0}


def kind(graph: tflite.Subgraph, output: int) -> AnswerKind | None:
    """What the tensor `output` of `graph` holds; None where its operators do not tell."""
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    seen: set[int] = set()
    while output not in seen and (maker := makers.get(output)):
        seen.add(output)
        if maker.kind in _PROBABILITIES:
            return "probabilities"
        if maker.kind in _LOGITS:
            return None if _has_activation(maker) else "logits"
        if maker.kind not in _PASSING or not maker.inputs:
            return None
        output = maker.inputs[0]
    return None


def _has_activation(operator: tflite.Operator) -> bool:
    place = _ACTIVATION_AT.get(operator.kind)
    return (
        place is not None
        and operator.options is not None
        and (operator.options.number(place, "b") != 0)
    )
