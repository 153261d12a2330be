"""EfficientNet-Lite (Tan & Le 2019, adapted to phones: ReLU6, no squeeze-and-excite), with global
pooling and one output. ImageNet's weights for it come from the package registry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Of size 0: how many blocks, kernel, stride, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# By size: how much wider and deeper the stages are.
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
EPSILON = 1e-3


def build(
    *,
    weights: str | None = None,
    seed: int = 0,
    size: int = 0,
    gray: bool = False,
    cut: str | None = None,
    input_size: int = 256,
    classes: int = 2,
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class,
    or of each of `classes` where there are more than two.

    `weights` is an .npz file of the published tensors by their names; None starts from random
    ones. `size` is 0, 1 or 2. With `gray` the network reads one channel instead of three copies of
    it and computes the same (see `_folded`). `cut` names the block after which the trunk ends, such
    as `block_9`; None keeps all of it.
    """
    import keras
    from keras import layers

    if size not in SCALES:
        raise ValueError(f"size is {size!r}; it can be 0, 1 or 2")
    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    # All channels are preprocessed alike, which is what makes the fold to one channel exact.
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocess")(image)
    if not gray:
        x = layers.Concatenate(name="three_channels")([x, x, x])
    trunk = _trunk(x, size, cut)
    # The layer named `features` ends the trunk: what is before it can be computed once per image.
    x = layers.GlobalAveragePooling2D(name="features")(trunk)
    # A generator of its own, so that the head is the same one with and without `gray`.
    probability = layers.Dense(
        1 if classes == 2 else classes,
        activation="sigmoid" if classes == 2 else "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        name="probability",
    )(x)
    model = keras.Model(image, probability, name="efficientnet_lite")
    if weights is not None:
        _load(weights, model)
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def cuts(model: keras.Model) -> list[str]:
    """The layers after which the trunk can end, from the first to the last block."""
    names = [layer.name for layer in model.layers]
    return [name for name in names if name.startswith("block_") and name.count("_") == 1]


def _trunk(x: Any, size: int, cut: str | None) -> Any:
    x = _convolution(x, 32, 3, strides=2, name="stem")
    number, known = 0, []
    width, depth = SCALES[size]
    for stage, (blocks, kernel, stride, expansion, channels) in enumerate(STAGES):
        # The first and the last stage stay as short as they are in size 0.
        repeats = blocks if stage in (0, len(STAGES) - 1) else math.ceil(blocks * depth)
        for place in range(repeats):
            known.append(f"block_{number}")
            strides = stride if place == 0 else 1
            x = _block(
                x,
                known[-1],
                kernel,
                strides,
                expansion=expansion,
                channels=_rounded(channels * width),
            )
            if known[-1] == cut:
                return x
            number += 1
    if cut is not None:
        raise ValueError(f"cut is {cut!r}; it can be one of {known[0]} to {known[-1]}")
    return _convolution(x, 1280, 1, name="head")


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, but never down by more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _block(x: Any, name: str, kernel: int, strides: int, *, expansion: int, channels: int) -> Any:
    """Wider, through a depthwise convolution, and narrow again (an inverted residual)."""
    from keras import layers

    before = x
    if expansion > 1:
        x = _convolution(x, int(x.shape[-1]) * expansion, 1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(6, name=f"{name}_depthwise_relu")(x)
    x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    # The layer named after the block is its last one.
    residual = strides == 1 and before.shape[-1] == channels
    norm = f"{name}_project_norm" if residual else name
    x = layers.BatchNormalization(epsilon=EPSILON, name=norm)(x)
    return layers.Add(name=name)([before, x]) if residual else x


def _convolution(x: Any, channels: int, kernel: int, *, name: str, strides: int = 1) -> Any:
    from keras import layers

    x = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False, name=name)(
        x
    )
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6, name=f"{name}_relu")(x)


def _load(weights: str, model: keras.Model) -> None:
    """The published tensors, in PyTorch's order of axes, into the layers that they are for."""
    import numpy as np

    with np.load(weights) as published:
        for layer in model.layers:
            name = _published(layer.name)
            kind = type(layer).__name__
            if kind == "BatchNormalization":
                parts = ("weight", "bias", "running_mean", "running_var")
                layer.set_weights([published[f"{name}.{part}"] for part in parts])
            elif kind == "DepthwiseConv2D":
                layer.set_weights([published[f"{name}.weight"].transpose(2, 3, 0, 1)])
            elif kind == "Conv2D":
                kernel = published[f"{name}.weight"].transpose(2, 3, 1, 0)
                layer.set_weights([_folded(kernel, int(layer.kernel.shape[2]))])


def _published(layer: str) -> str:
    """What the published weights call a layer: block_3_expand -> _blocks.3._expand_conv."""
    outside = {
        "stem": "_conv_stem",
        "stem_norm": "_bn0",
        "head": "_conv_head",
        "head_norm": "_bn1",
    }
    if layer in outside or not layer.startswith("block_"):
        return outside.get(layer, layer)
    _, number, *part = layer.split("_", 2)
    named: Mapping[str, str] = {
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "project": "_project_conv",
        "project_norm": "_bn2",
    }
    return f"_blocks.{number}.{named.get(part[0] if part else 'project_norm', '')}"


def _folded(kernel: Any, channels: int) -> Any:
    """A kernel (height, width, inputs, outputs) for an input of one channel instead of three.

    Where all channels hold the same value, a convolution of three channels equals one whose kernel
    is their sum: k1 x + k2 x + k3 x = (k1 + k2 + k3) x. The border agrees too, since all channels
    are preprocessed alike and before they are padded with zeros.
    """
    return kernel.sum(axis=2, keepdims=True) if channels < kernel.shape[2] else kernel


def inherit(model: keras.Model, parent: keras.Model) -> None:
    """Copy a trained `parent`'s weights; fold them if `model` reads one channel and it three."""
    for layer in model.layers:
        if layer.weights:
            values = parent.get_layer(layer.name).get_weights()
            if type(layer).__name__ == "Conv2D":
                values[0] = _folded(values[0], int(layer.kernel.shape[2]))
            layer.set_weights(values)
