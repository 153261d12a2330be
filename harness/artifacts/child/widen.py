"""A narrow network made wide without changing what it computes (Net2WiderNet, Chen, Goodfellow and
Shlens 2016, https://arxiv.org/abs/1511.05641).

Channel i of the wide network is a copy of channel i mod n of the narrow one, and a layer that reads
copies divides its weights by their number. The rule depends on the two numbers of channels only, so
layers whose outputs are added or multiplied get their copies in the same order.
"""

from __future__ import annotations

from typing import Any

from harness.core.errors import ConfigError


def widen(wide: Any, narrow: Any) -> None:
    """Give the Keras model `wide` the weights of `narrow`, layer by layer.

    A batch normalization of `narrow` that `wide` does not have is folded into the convolution
    before it. Raises ConfigError if the networks differ in more than that and their widths.
    """
    waiting = [layer for layer in wide.layers if layer.weights]
    pairs: list[tuple[Any, Any, list[Any]]] = []
    for layer in (layer for layer in narrow.layers if layer.weights):
        kind = type(layer).__name__
        if waiting and type(waiting[0]).__name__ == kind:
            pairs.append((waiting.pop(0), layer, layer.get_weights()))
        elif pairs and kind == "BatchNormalization":
            into, before, _ = pairs[-1]
            pairs[-1] = into, before, folded(before, layer)
        else:
            raise _differ(layer.name)
    if waiting:
        raise _differ(waiting[0].name)
    for into, layer, values in pairs:
        into.set_weights(_widened(values, into, layer))


def folded(convolution: Any, normalization: Any) -> list[Any]:
    """[kernel, bias] of one convolution that computes what the two layers do, one after the other,
    when they are not being trained."""
    import numpy as np

    kernel, *rest = convolution.get_weights()
    bias = rest[0] if rest else np.zeros(kernel.shape[-1], kernel.dtype)
    gamma, beta, mean, variance = normalization.get_weights()
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return [kernel * scale, beta + (bias - mean) * scale]


def _widened(values: list[Any], layer: Any, narrow: Any) -> list[Any]:
    if len(values) != len(layer.weights):
        raise _differ(layer.name)
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    widened = []
    for value, weight in zip(values, layer.get_weights(), strict=True):
        if value.ndim != weight.ndim:
            raise _differ(layer.name)
        if value.ndim == 1:
            wider = _copies(value, 0, weight.shape[0])
        elif depthwise:
            wider = _copies(value, 2, weight.shape[2])
        else:
            positions = _positions(narrow)
            wider = _readers(value, weight.shape[-2], positions)
            wider = _copies(wider, wider.ndim - 1, weight.shape[-1])
        if wider.shape != weight.shape:
            raise _differ(layer.name)
        widened.append(wider)
    return widened


def _positions(layer: Any) -> int:
    """How many positions a dense layer after a Flatten reads; 1 for all other layers."""
    before = layer.input._keras_history.operation
    if type(before).__name__ != "Flatten":
        return 1
    shape = before.input.shape
    return int(shape[1] * shape[2])


def _copies(value: Any, axis: int, count: int) -> Any:
    import numpy as np

    return np.take(value, np.arange(count) % value.shape[axis], axis=axis)


def _readers(kernel: Any, count: int, positions: int) -> Any:
    """`kernel` for `count` inputs on its last axis but one, which is positions x channels."""
    import numpy as np

    *space, inputs, outputs = kernel.shape
    apart = kernel.reshape(*space, positions, inputs // positions, outputs)
    source = np.arange(count // positions) % apart.shape[-2]
    shares = np.bincount(source, minlength=apart.shape[-2]).astype(kernel.dtype)
    wider = (apart / shares[:, np.newaxis])[..., source, :]
    return wider.reshape(*space, count, outputs)


def _differ(layer: str) -> ConfigError:
    return ConfigError(
        f"grow_from: the networks differ in the layer {layer!r}, and not in its width only",
        "grow_from can change options that scale the number of channels",
    )
