"""Four bytes per weight, nothing lost: what the others are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core.types import Value

CALIBRATES = False


class Options(Value, frozen=True):
    """None."""


def convert(model: Any, representative: Iterable[Any], options: Options) -> bytes:
    """Keras model -> .tflite file with float32 weights and arithmetic."""
    from harness.artifacts.recipes._tflite import converter

    return bytes(converter(model).convert())
