"""VGG16 (Simonyan & Zisserman 2014) with a head of its own: the large baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

# ImageNet's mean in blue, green, red: what Keras's preprocessing for VGG16 subtracts.
MEAN_BGR = (103.939, 116.779, 123.68)


def build(
    *,
    weights: str | None = None,
    seed: int = 0,
    head: Literal["flatten", "gap"] = "flatten",
    input_size: int = 256,
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class.

    `weights` is a weights file of the convolutions (Keras's `notop`); None starts from random
    ones. `head` is `flatten`, two dense layers of 1024 over all positions, or `gap`, one weight
    per channel over their mean, which leaves out 70 % of the parameters.
    """
    import keras
    import numpy as np
    from keras import layers

    if head not in ("flatten", "gap"):
        raise ValueError(f"head is {head!r}; it can be 'flatten' or 'gap'")
    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    x = image - np.array(MEAN_BGR, "float32")  # one channel becomes three, all from the same pixel
    trunk = keras.applications.VGG16(include_top=False, weights=weights, input_tensor=x)
    # The first ten layers of VGG16, its input being the first, stay as they are in training.
    own = [layer for layer in trunk.layers if layer.name.startswith("block")]
    for layer in own[:9]:
        layer.trainable = False

    # The layer named `features` ends the trunk: what is before it can be computed once per image.
    if head == "flatten":
        x = layers.Flatten(name="features")(trunk.output)
        x = layers.Dense(1024, activation="relu")(x)
        x = layers.Dropout(0.5)(x)
        x = layers.Dense(1024, activation="relu")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="features")(trunk.output)
    probability = layers.Dense(1, activation="sigmoid", name="probability")(x)
    model = keras.Model(image, probability, name="vgg16")
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=1e-4, momentum=0.9),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
