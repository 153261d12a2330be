"""Shared by all recipes that convert: a TFLite converter for a Keras model with a batch of one."""

from __future__ import annotations

from typing import Any

from harness.core.errors import UsageError


def converter(model: Any) -> Any:
    """A `tf.lite.TFLiteConverter` for one example at a time.

    The batch is fixed to one: a phone asks about one image, and without dynamic shapes the runtime
    can plan its memory ahead. Inputs and outputs keep the names they have in Keras; outputs of a
    dictionary have its keys. UsageError if the model was never built, if another dimension than
    the batch is open, or if an input is of a type that TFLite does not take.
    """
    import tensorflow as tf

    specs = [_spec(tensor) for tensor in inputs_of(model)]
    call, names = _call(model), _output_names(model)

    def serve(*inputs: Any) -> dict[str, Any]:
        return dict(zip(names, call(inputs), strict=True))

    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    module.serve = tf.function(serve, input_signature=specs)
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )


def inputs_of(model: Any) -> list[Any]:
    """The Keras model's symbolic inputs; UsageError if it has none yet."""
    try:
        inputs = list(model.inputs or ())
    except AttributeError:  # a Sequential without an Input, or a subclassed model
        inputs = []
    if not inputs:
        raise UsageError(
            "the Keras model does not say what its input is",
            "begin it with keras.Input(shape), or build a functional model around it",
        )
    return inputs


def _spec(tensor: Any) -> Any:
    import tensorflow as tf

    if None in tensor.shape[1:]:
        raise UsageError(
            f"the model's input {tensor.name!r} has the open shape {tuple(tensor.shape)}",
            "give the Keras model a fixed input size",
        )
    if tensor.dtype == "string" or tensor.dtype.startswith("complex"):
        raise UsageError(
            f"the model's input {tensor.name!r} is {tensor.dtype}, which the harness cannot make "
            "values for",
            "give the Keras model a float32 input",
        )
    return tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


def _call(model: Any) -> Any:
    """A function from the flat inputs to the flat outputs, whatever structure the model has."""
    import keras

    # A Sequential has no structure of its own: one tensor in, one out.
    structure = getattr(model, "input", None) if hasattr(model, "output_names") else None

    def call(inputs: Any) -> list[Any]:
        if structure is None:
            (given,) = inputs
        else:
            given = keras.tree.pack_sequence_as(structure, list(inputs))
        return list(keras.tree.flatten(model(given, training=False)))

    return call


def _output_names(model: Any) -> list[str]:
    """One name per output, all different: the key of a dictionary, else the layer's name."""
    import keras

    if not hasattr(model, "output_names"):
        return [model.layers[-1].name]
    names = list(model.output_names)
    if isinstance(structure := model.output, dict):
        paths = keras.tree.flatten_with_path(structure)
        names = ["_".join(map(str, path)) for path, _ in paths]
    # A network may use a layer twice, or answer with one tensor twice.
    return [
        name if name not in names[:place] else f"{name}_{place + 1}"
        for place, name in enumerate(names)
    ]
