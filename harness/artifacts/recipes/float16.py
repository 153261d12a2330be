"""Two bytes per weight. A CPU converts the weights to float32 when it loads them, so the file gets
smaller and the latency stays the same; a GPU computes in float16."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.types import Value

CALIBRATES = False


class Options(Value, frozen=True):
    """This recipe has no options."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with float16 weights."""
    import tensorflow as tf

    from harness.artifacts.recipes._tflite import converter

    lite = converter(model)
    lite.optimizations = [tf.lite.Optimize.DEFAULT]
    lite.target_spec.supported_types = [tf.float16]
    return bytes(lite.convert())
