"""Batch normalization as one operation while a network is trained.

Keras 3 puts it together from a dozen operations, each of which reads and writes the whole batch;
in networks as small as ours that is about half of the training (`benchmarks/batch_norm.py`).
TensorFlow has one operation that computes the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def in_one_operation() -> Iterator[None]:
    """While inside, Keras's BatchNormalization layers that are being trained use it."""
    import keras

    layer = keras.layers.BatchNormalization
    usual = layer.call

    def call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if training and self.trainable and mask is None and _fits(self, inputs):
            return _trained(self, inputs)
        return usual(self, inputs, training=training, mask=mask)

    layer.call = call
    try:
        yield
    finally:
        layer.call = usual


def _fits(layer: Any, inputs: Any) -> bool:
    """Whether the inputs are float32 pictures (n, height, width, channels)."""
    pictures = len(inputs.shape) == 4 and layer.axis in (3, -1)
    return pictures and inputs.dtype == "float32" and inputs.shape[3] is not None


def _trained(layer: Any, inputs: Any) -> Any:
    """float32, as the inputs: normalized by the batch, whose statistics the layer remembers."""
    import tensorflow as tf

    channels = inputs.shape[3]
    done = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones([channels]),
        offset=tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros([channels]),
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # It returns the variance of a sample; Keras remembers that of the batch itself.
    values = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance = done.batch_variance * (values - 1) / values
    for kept, new in ((layer.moving_mean, done.batch_mean), (layer.moving_variance, variance)):
        kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    return done.y
