"""What a network expects and what it answers with, by the arithmetic at its input and its end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.artifacts.tflite import answers, scaling
from harness.artifacts.tflite import model as tflite
from harness.core.pixels import of_scaling

PICTURE = (1, 8, 8, 3)


def tensor(
    values: Any = (), *, shape: tuple[int, ...] = PICTURE, scale: float | None = None
) -> tflite.Tensor:
    """A constant, or what is computed where there are no values."""
    array = np.asarray(values, np.int8 if scale else np.float32)
    shape = array.shape if array.size else shape
    return tflite.Tensor(
        name="t",
        shape=shape,
        signature=shape,
        dtype="int8" if scale else "float32",
        buffer=0,
        data=np.frombuffer(array.tobytes(), np.uint8),
        scales=(scale,) if scale else (),
        zero_points=(0,) if scale else (),
        channel_axis=0,
        sparse=False,
    )


def graph(*steps: tuple[str, Any]) -> tflite.Subgraph:
    """Each step works on the one before: a kind and its constant, None for none. A constant in a
    list of one is the first operand."""
    tensors, operators, now = [tensor()], [], 0
    for kind, constant in steps:
        inputs = [now]
        if constant is not None:
            first = isinstance(constant, list)
            tensors.append(constant if isinstance(constant, tflite.Tensor) else tensor(constant))
            inputs = [len(tensors) - 1, now] if first else [now, len(tensors) - 1]
        tensors.append(tensor())
        now = len(tensors) - 1
        operators.append(tflite.Operator(kind, False, tuple(inputs), (now,), None))
    return tflite.Subgraph(tuple(tensors), (0,), (now,), tuple(operators))


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BY_CHANNEL = np.array(IMAGENET[0]).reshape(1, 1, 1, 3)
FIRST_CHANNEL = np.array(IMAGENET[0]).reshape(1, 3, 1, 1)
CONV = ("CONV_2D", None)


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([("MUL", 1 / 255), CONV], "0..255"),
        ([("DIV", 255.0), CONV], "0..255"),
        ([("DIV", [255.0]), CONV], None),  # 255 / x
        ([("MUL", [1 / 255]), CONV], "0..255"),
        ([("SUB", 127.5), ("DIV", 127.5), CONV], "0..255"),
        ([("MUL", 1 / 127.5), ("ADD", -1.0), CONV], "0..255"),
        ([("SUB", [1.0]), CONV], "0..1"),  # 1 - x
        ([("MUL", 2.0), ("SUB", 1.0), CONV], "0..1"),
        ([("SUB", BY_CHANNEL), ("DIV", IMAGENET[1]), CONV], "0..1"),
        ([("TRANSPOSE", None), ("SUB", FIRST_CHANNEL), ("DIV", IMAGENET[1]), CONV], "0..1"),
        ([("DIV", 255.0), ("SUB", BY_CHANNEL), ("DIV", IMAGENET[1]), CONV], "0..255"),
        ([("REVERSE_V2", None), ("SUB", (103.9, 116.8, 123.7)), CONV], "0..255"),
        ([("ADD", 1.0), ("MUL", 127.5), CONV], "-1..1"),
        ([("CAST", None), ("RESIZE_BILINEAR", None), ("MUL", 1 / 255), CONV], "0..255"),
        ([("QUANTIZE", None), ("MUL", tensor(127, shape=(), scale=1 / 255 / 127))], "0..255"),
        ([("MUL", 1.0), ("ADD", 0.0), CONV], None),
        ([("MUL", 0.0), CONV], None),
        ([CONV, ("MUL", 1 / 255)], None),
        ([("MUL", np.full((1, 8, 8, 3), 1 / 255)), CONV], None),
        ([("DIV", float("nan")), CONV], None),
    ],
)
def test_what_stands_at_the_input_says_what_goes_in(
    steps: list[tuple[str, Any]], name: str | None
) -> None:
    pixels = scaling.pixels(graph(*steps), 0)
    assert (pixels and pixels.name) == name
    assert pixels is None or pixels.source == "layers"


def test_an_input_that_is_used_in_two_ways_says_nothing() -> None:
    one = graph(("MUL", 1 / 255), CONV)
    other = tflite.Operator("CONV_2D", False, (0,), (2,), None)
    two = tflite.Subgraph(one.tensors, one.inputs, one.outputs, (*one.operators, other))
    assert scaling.pixels(two, 0) is None


@pytest.mark.parametrize(
    ("scale", "offset", "name", "source"),
    [
        (1 / 58, -2.1, "0..255", "layers"),
        (1 / 58, 0.0, "0..255", "layers"),
        (3.2, -0.42, "0..1", "assumed"),  # mean 0.13: 0..1 of a dark data set, or -1..1
        (1.8, 0.1, "-1..1", "assumed"),
        (1 / 3000, 0.0, None, None),
    ],
)
def test_standardizing_is_told_by_its_mean_and_deviation(
    scale: float, offset: float, name: str | None, source: str | None
) -> None:
    pixels = of_scaling([scale], [offset])
    assert (pixels and pixels.name, pixels and pixels.source) == (name, source)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([CONV, ("AVERAGE_POOL_2D", None), ("RESHAPE", None)], "logits"),
        ([CONV, ("LOG_SOFTMAX", None)], "logits"),
        ([CONV, ("DIV", 1.5)], "logits"),  # by a temperature
        ([CONV, ("MUL", -1.0)], None),
        ([CONV, ("SOFTMAX", None), ("STRIDED_SLICE", None)], "probabilities"),
        ([CONV, ("SOFTMAX", None), ("MUL", 100.0)], None),
        ([CONV, ("TANH", None)], None),
    ],
)
def test_what_the_last_operators_answer_with(
    steps: list[tuple[str, Any]], kind: str | None
) -> None:
    network = graph(*steps)
    assert answers.kind(network, network.outputs[0]) == kind
