"""MobileNetV2 (Sandler et al. 2018), made for phones, with global pooling and one output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def build(
    *,
    weights: str | None = None,
    seed: int = 0,
    alpha: float = 1.0,
    gray: bool = False,
    input_size: int = 256,
    classes: int = 2,
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class,
    or of each of `classes` where there are more than two.

    `weights` is a weights file of the convolutions (Keras's `no_top`); None starts from random
    ones. `alpha` scales the number of channels. With `gray` the network reads one channel instead
    of three copies of it and computes the same (see `fold`).
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(image)
    three = layers.Concatenate(name="three_channels")([x, x, x])
    trunk = _trunk(three, alpha, weights)
    if gray:
        trunk = fold(trunk, into=_trunk(x, alpha, None))

    # The layer named `features` ends the trunk: what is before it can be computed once per image.
    x = layers.GlobalAveragePooling2D(name="features")(trunk.output)
    # A generator of its own, so that the head is the same one with and without `gray`.
    probability = layers.Dense(
        1 if classes == 2 else classes,
        activation="sigmoid" if classes == 2 else "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        name="probability",
    )(x)
    model = keras.Model(image, probability, name="mobilenet")
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _trunk(x: Any, alpha: float, weights: str | None) -> keras.Model:
    import keras

    return keras.applications.MobileNetV2(
        include_top=False,
        weights=weights,
        alpha=alpha,
        input_tensor=x,
        input_shape=tuple(x.shape[1:]),
    )


def fold(three_channels: keras.Model, *, into: keras.Model) -> keras.Model:
    """The weights of `three_channels` in `into`, which differs in reading a single channel.

    Where all channels hold the same value, a convolution of three channels equals one whose kernel
    is their sum: k1 x + k2 x + k3 x = (k1 + k2 + k3) x. The border agrees too, since all channels
    are preprocessed alike and before they are padded with zeros.
    """
    for layer in into.layers:
        if layer.weights:
            values = three_channels.get_layer(layer.name).get_weights()
            if layer.name == "Conv1" and layer.kernel.shape[2] == 1:
                values[0] = values[0].sum(axis=2, keepdims=True)
            layer.set_weights(values)
    return into


def inherit(model: keras.Model, parent: keras.Model) -> None:
    """Copy a trained `parent`'s weights; fold them if `model` reads one channel and it three."""
    fold(parent, into=model)
