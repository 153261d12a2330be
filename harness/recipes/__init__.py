"""How a Keras model is made into a .tflite file; one file each, run in the TensorFlow child.

A recipe module offers a function of the Recipe shape named `convert`, and may offer
`prepare(model, options)`, which changes the Keras model before it is converted (pruning does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol


class Recipe(Protocol):
    """The shape of a recipe's `convert`."""

    def __call__(
        self, model: Any, representative: Iterator[Any], options: Mapping[str, object]
    ) -> bytes:
        """Keras model -> bytes of the .tflite file.

        `representative` yields float32 arrays of shape (1, height, width, channels), pixel values
        0 to 255; recipes without calibration ignore it.
        """
