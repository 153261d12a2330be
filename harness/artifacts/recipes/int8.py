"""One byte per weight and per activation, integer arithmetic throughout, int8 in and out.

The ranges of the activations come from representative data (Jacob et al. 2018). Those of the input
are set to exactly 0 to 255, so that its scale is 1 and its zero point -128: an app turns a pixel
into an input by subtracting 128, without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.core.errors import UsageError
from harness.core.types import Value

CALIBRATES = True


class Options(Value, frozen=True):
    """This recipe has no options."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with int8 weights, activations, input and output."""
    import tensorflow as tf

    from harness.artifacts.recipes._tflite import converter, inputs_of

    inputs = inputs_of(model)
    if len(inputs) != 1:
        raise UsageError(
            f"int8 needs a model with one image as its input; this one has {len(inputs)}",
            "choose float32, float16 or dynamic_range",
        )
    lite = converter(model)
    lite.optimizations = [tf.lite.Optimize.DEFAULT]
    lite.representative_dataset = lambda: ([image] for image in spanning(representative))
    lite.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    lite.inference_input_type = tf.int8
    lite.inference_output_type = tf.int8
    return bytes(lite.convert())


def spanning(images: Iterable[Any]) -> Iterator[Any]:
    """`images`, and then the first one again with a black and a white pixel in two corners.

    Two pixels do not change the ranges inside the network, but they extend the input's range to 0
    to 255 even if no image has pure black and white.
    """
    first = None
    for image in images:
        if first is None:
            first = image.copy()
        yield image
    if first is not None:
        first.flat[0], first.flat[-1] = 0, 255
        yield first
