"""A small network to be taught by a larger one: depthwise separable convolutions on one channel.

It has about 40 thousand weights. Most of its work is done after the image has been halved twice,
where a line two pixels wide is still visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def build(
    *,
    seed: int = 0,
    input_size: int = 256,
    classes: int = 2,
    filters: Sequence[int] = (32, 64, 64, 128, 128),
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class,
    or of each of `classes` where there are more than two.

    Each entry of `filters` adds a separable convolution; every other one halves the image.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    x = layers.Rescaling(1 / 64, offset=-2.0)(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for place, n in enumerate(filters):
        strides = 2 if place % 2 == 0 else 1
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(n, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    probability = layers.Dense(
        1 if classes == 2 else classes,
        activation="sigmoid" if classes == 2 else "softmax",
        name="probability",
    )(x)
    model = keras.Model(image, probability, name="student")
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
