"""A small convolutional network trained from nothing: six 2x2 convolutions, each halved by pooling.

Its first dense layer holds most of the 2.9 million weights, which makes it a good subject for
pruning and a poor one for counting layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def build(
    *,
    weights: str | None = None,
    seed: int = 0,
    input_size: int = 256,
    classes: int = 2,
    filters: Sequence[int] = (16, 32, 64, 128, 256, 512),
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class,
    or of each of `classes` where there are more than two.

    `weights` is a weights file of this whole network; None starts from random ones. Each entry of
    `filters` adds a convolution and halves the image.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    # Centred pixels, and initial weights that keep the variance of signals (He et al. 2015); with
    # pixels of 0 to 1 and Glorot's weights it learns nothing for many epochs.
    x = layers.Rescaling(1 / 64, offset=-2.0)(image)
    alive = {"activation": "relu", "kernel_initializer": "he_normal"}
    for n in filters:
        x = layers.Conv2D(n, 2, padding="same", **alive)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(250, **alive)(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(500, **alive)(x)
    x = layers.Dropout(0.5)(x)
    probability = layers.Dense(
        1 if classes == 2 else classes,
        activation="sigmoid" if classes == 2 else "softmax",
        name="probability",
    )(x)
    model = keras.Model(image, probability, name="scratch")
    if weights is not None:
        model.load_weights(weights)
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
