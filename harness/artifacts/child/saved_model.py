"""A SavedModel folder -> float32 .tflite, in the TensorFlow child."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from harness.artifacts.child.reasons import line
from harness.core.errors import UsageError

_DEFAULT = "serving_default"


class Served(NamedTuple):
    """A function for one example at a time, and the module that keeps its variables alive."""

    function: Any
    module: Any
    specs: dict[str, Any]

    @property
    def inputs(self) -> list[Any]:
        """The inputs, with shape and dtype."""
        return list(self.specs.values())

    def ask(self, example: Any) -> Any:
        """The answers of a function of one input."""
        import tensorflow as tf

        ((name, spec),) = self.specs.items()
        return self.function(**{name: tf.constant(example, spec.dtype)})

    def converter(self) -> Any:
        """A `tf.lite.TFLiteConverter`."""
        import tensorflow as tf

        return tf.lite.TFLiteConverter.from_concrete_functions([self.function], self.module)


def load(path: Path) -> Served:
    """The signature `serving_default`, or the only one there is. UsageError if the folder cannot be
    read or gives no input size."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise UsageError(
            f"{path} cannot be loaded: {line(error)}", "save the model again"
        ) from error
    names = list(loaded.signatures)
    name = _DEFAULT if _DEFAULT in names else names[0] if len(names) == 1 else None
    if name is None:
        raise UsageError(
            f"{path} has no signature {_DEFAULT}; it has {', '.join(names) or 'none'}",
            "export the model with a signature serving_default",
        )
    signature = loaded.signatures[name]
    specs = {
        key: _fixed(path, spec) for key, spec in signature.structured_input_signature[1].items()
    }

    def serve(**inputs: Any) -> Any:
        return signature(**inputs)

    module = tf.Module()
    module.loaded = loaded  # keeps the variables alive
    return Served(tf.function(serve).get_concrete_function(**specs), module, specs)


def _fixed(path: Path, spec: Any) -> Any:
    import tensorflow as tf

    shape = spec.shape.as_list() if spec.shape.rank is not None else [None, None]
    if None in shape[1:]:
        raise UsageError(
            f"{path}: the input {spec.name!r} has the open shape {tuple(shape)}",
            "export the model with a fixed input size",
        )
    return tf.TensorSpec([1 if side is None else side for side in shape], spec.dtype, spec.name)
