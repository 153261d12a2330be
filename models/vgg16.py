"""VGG16 (Simonyan & Zisserman 2014) with a head of its own: the large baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

# ImageNet's mean in blue, green, red: what Keras's preprocessing for VGG16 subtracts.
MEAN_BGR = (103.939, 116.779, 123.68)
# Channels of each block, and how many convolutions it has.
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def build(
    *,
    weights: str | None = None,
    seed: int = 0,
    head: Literal["flatten", "gap"] = "flatten",
    width: float = 1.0,
    batch_norm: bool = False,
    input_size: int = 256,
    classes: int = 2,
) -> keras.Model:
    """Grey image (input_size, input_size, 1), pixels 0 to 255 -> probability of the second class,
    or of each of `classes` where there are more than two.

    `weights` is a weights file of the convolutions (Keras's `notop`); None starts from random
    ones. `head` is `flatten`, two dense layers of 1024 over all positions, or `gap`, one weight
    per channel over their mean, which leaves out 70 % of the parameters. `width` scales the number
    of channels. `batch_norm` puts a batch normalization behind each convolution, without which a
    network of this depth hardly learns from random weights.
    """
    import keras
    import numpy as np
    from keras import layers

    if head not in ("flatten", "gap"):
        raise ValueError(f"head is {head!r}; it can be 'flatten' or 'gap'")
    keras.utils.set_random_seed(seed)
    image = keras.Input((input_size, input_size, 1), name="image")
    x = image - np.array(MEAN_BGR, "float32")  # one channel becomes three, all from the same pixel
    for block, (channels, convolutions) in enumerate(BLOCKS, start=1):
        for place in range(1, convolutions + 1):
            x = layers.Conv2D(
                max(1, round(channels * width)),
                3,
                padding="same",
                activation=None if batch_norm else "relu",
                kernel_initializer="he_normal",
                name=f"block{block}_conv{place}",
            )(x)
            if batch_norm:
                x = layers.BatchNormalization(name=f"block{block}_norm{place}")(x)
                x = layers.ReLU(name=f"block{block}_relu{place}")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)

    # The layer named `features` ends the trunk: what is before it can be computed once per image.
    if head == "flatten":
        x = layers.Flatten(name="features")(x)
        units = max(1, round(1024 * width))
        x = layers.Dense(units, activation="relu", name="dense1")(x)
        x = layers.Dropout(0.5)(x)
        x = layers.Dense(units, activation="relu", name="dense2")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="features")(x)
    probability = layers.Dense(
        1 if classes == 2 else classes,
        activation="sigmoid" if classes == 2 else "softmax",
        name="probability",
    )(x)
    model = keras.Model(image, probability, name="vgg16")
    if weights is not None:
        _load(weights, model)
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=1e-4, momentum=0.9),
        loss="binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _load(weights: str, model: keras.Model) -> None:
    """The convolutions of a weights file of Keras's VGG16 without its top."""
    import keras

    published = keras.applications.VGG16(
        include_top=False, weights=weights, input_shape=(None, None, 3)
    )
    for layer in published.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())


def inherit(model: keras.Model, parent: keras.Model) -> None:
    """The channels of `parent` whose kernels have the largest L1 norm (Li et al. 2017,
    https://arxiv.org/abs/1608.08710), as many as each layer of the narrower `model` has.

    Of channels that are copies of each other, one is kept as long as there are others to keep. The
    next layer's weights for the copies are added to its weights for that one, so its output stays
    the same. Only for the head `gap`, where each channel has one reader.
    """
    if model.get_layer("features").output.shape[1] != model.layers[-1].input.shape[1]:
        raise ValueError("channels can be pruned with head: gap only")
    reads = None  # the input channels of which each remaining one is the sum
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel, bias = parent.get_layer(layer.name).get_weights()
        if reads is not None:
            kernel = _read(kernel, reads)
        if layer is model.layers[-1]:
            layer.set_weights([kernel, bias])
            continue
        reads = _largest(kernel, bias, int(layer.kernel.shape[-1]))
        kept = [own[0] for own in reads]
        layer.set_weights([kernel[..., kept], bias[kept]])


def _largest(kernel: Any, bias: Any, count: int) -> list[list[int]]:
    """`count` output channels, each followed by the copies of it that are not kept."""
    import numpy as np

    flat = np.concatenate([kernel.reshape(-1, kernel.shape[-1]), bias[np.newaxis]])
    _, first, same_as = np.unique(flat, axis=1, return_index=True, return_inverse=True)
    original = first[same_as.reshape(-1)]
    copy = original != np.arange(len(original))
    norm = np.abs(flat[:-1]).sum(axis=0)
    kept = sorted(np.lexsort((-norm, copy))[:count].tolist())
    reads = [[channel] for channel in kept]
    for channel in np.flatnonzero(copy).tolist():
        if channel not in kept and original[channel] in kept:
            reads[kept.index(int(original[channel]))].append(channel)
    return reads


def _read(kernel: Any, reads: list[list[int]]) -> Any:
    """`kernel` for fewer input channels: each the sum of the ones it stands for."""
    import numpy as np

    return np.stack([kernel[..., own, :].sum(axis=-2) for own in reads], axis=-2)
