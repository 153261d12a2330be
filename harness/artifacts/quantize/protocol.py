"""The messages between the parent and the quantizing child."""

from __future__ import annotations

from harness.core.types import LayerError, Value


class QuantizeRequest(Value, frozen=True):
    """Make `target` from the float file `source`. `inputs` is a .npy with an example per row as
    the model's input wants them, None where nothing is calibrated. `largest_error` is how far the
    answers of int8-mixed may be from those of the float file, as a share of their spread."""

    source: str
    target: str
    recipe: str
    inputs: str | None = None
    signature: str | None = None
    largest_error: float = 0.1


class Quantized(Value, frozen=True):
    """How it went: for int8-mixed, the layers by their error, the worst first, and the error of the
    answers with no layer and with the chosen ones kept in float."""

    layers: tuple[LayerError, ...] = ()
    error_int8: float | None = None
    error: float | None = None
    refusal: str = ""
