"""What all converting recipes share: a Keras model of a fixed batch of one, ready to convert."""

from __future__ import annotations

from typing import Any

from harness.core.errors import UsageError


def converter(model: Any) -> Any:
    """A `tf.lite.TFLiteConverter` for one example at a time.

    The batch is fixed to one: a phone asks about one image, and without dynamic shapes the runtime
    can plan its memory ahead. Inputs and outputs keep the names they have in Keras. UsageError if
    another dimension than the batch is open.
    """
    import tensorflow as tf

    specs = []
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise UsageError(
                f"the model's input {tensor.name!r} has the open shape {tuple(tensor.shape)}",
                "give the Keras model a fixed input size",
            )
        shape = (1, *tensor.shape[1:])
        specs.append(tf.TensorSpec(shape, tensor.dtype, name=tensor.name))

    def serve(*inputs: Any) -> dict[str, Any]:
        outputs = model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return dict(zip(model.output_names, outputs, strict=True))

    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    module.serve = tf.function(serve, input_signature=specs)
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
