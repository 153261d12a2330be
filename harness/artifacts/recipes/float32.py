"""Four bytes per weight: the unchanged model, which the other recipes are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.types import Value

CALIBRATES = False


class Options(Value, frozen=True):
    """This recipe has no options."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with float32 weights and arithmetic."""
    from harness.artifacts.recipes._tflite import converter

    return bytes(converter(model).convert())
