"""One byte per weight; activations stay float32 and are quantized on the fly where a kernel can.

Needs no representative data, which makes it the first thing to try.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.types import Value

CALIBRATES = False


class Options(Value, frozen=True):
    """None."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with int8 weights and float32 inputs and outputs."""
    import tensorflow as tf

    from harness.artifacts.recipes._tflite import converter

    lite = converter(model)
    lite.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(lite.convert())
