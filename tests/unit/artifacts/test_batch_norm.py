"""Batch normalization in one operation: the same numbers as Keras's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.artifacts.child import batch_norm
from tests.lazily import Lazily

keras = Lazily("keras")
tf = Lazily("tensorflow")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def trained_once(inputs: Any, **options: Any) -> list[Any]:
    """(outputs, gradient of the inputs, gradients of the weights, statistics) of one step."""
    layer = keras.layers.BatchNormalization(momentum=0.7, **options)
    layer.build(inputs.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    with tf.GradientTape() as tape:
        given = tf.Variable(inputs)
        outputs = layer(given, training=True)
        loss = tf.reduce_sum(outputs * rng.normal(size=outputs.shape).astype("float32"))
    gradients = tape.gradient(loss, [given, *layer.trainable_variables])
    return [np.asarray(x) for x in (outputs, *gradients, *layer.non_trainable_variables)]


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": False}, {"center": False}, {"epsilon": 1e-5}, {"axis": 3}, {"axis": 1}],
    ids=str,
)
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (8, 1, 1, 2), (6, 7)], ids=str)
def test_it_is_what_keras_computes(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    if options.get("axis", 0) >= len(shape):
        options = {}
    inputs = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    usual = trained_once(inputs, **options)
    with batch_norm.in_one_operation():
        found = trained_once(inputs, **options)
    assert len(found) == len(usual)
    for mine, theirs in zip(found, usual, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5)


def operations(*, trainable: bool = True) -> set[str]:
    """The operations of a batch normalization layer that is called to train."""
    layer = keras.layers.BatchNormalization(trainable=trainable)
    layer.build((None, 4, 4, 2))
    step = tf.function(lambda x: layer(x, training=True))
    graph = step.get_concrete_function(tf.TensorSpec((None, 4, 4, 2), "float32")).graph
    return {operation.type for operation in graph.get_operations()}


def test_it_is_used_for_layers_that_are_trained_and_only_inside() -> None:
    with batch_norm.in_one_operation():
        assert "FusedBatchNormV3" in operations()
        assert "FusedBatchNormV3" not in operations(trainable=False)
    assert "FusedBatchNormV3" not in operations()


def test_it_computes_the_same_bits_each_time() -> None:
    inputs = np.random.default_rng(0).normal(3, 2, (16, 96, 96, 16)).astype("float32")
    with batch_norm.in_one_operation():
        found = {b"".join(x.tobytes() for x in trained_once(inputs)) for _ in range(5)}
    assert len(found) == 1
