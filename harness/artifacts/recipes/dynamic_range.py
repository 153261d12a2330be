"""One byte per weight. Activations stay float32; kernels that compute in int8 quantize them at run
time. It needs no representative data, so it is the easiest recipe to try first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.types import Value

CALIBRATES = False


class Options(Value, frozen=True):
    """This recipe has no options."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with int8 weights and float32 inputs and outputs."""
    import tensorflow as tf

    from harness.artifacts.recipes._tflite import converter

    lite = converter(model)
    lite.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(lite.convert())
