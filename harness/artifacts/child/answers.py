"""Whether a Keras network answers with probabilities or with logits.

Training, teaching and judging need probabilities. A network that ends in logits gets the missing
activation for that time only; the network that is converted stays as its author wrote it.
"""

from __future__ import annotations

from typing import Any

from harness.core.errors import ConfigError

_PROBABILITIES = frozenset({"softmax", "sigmoid", "hard_sigmoid"})
_LOGITS = frozenset({"linear"})
# Layers that leave the kind of answer as it is: a mean of probabilities is one, too.
_PASSING = frozenset(
    {
        *("ActivityRegularization", "Average", "Cast", "Dropout", "Flatten", "Identity"),
        *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "Reshape", "Squeeze"),
    }
)


def with_probabilities(model: Any, inputs: Any = None) -> Any:
    """`model` itself, or the same layers followed by a sigmoid (one output) or a softmax.

    If the last layer does not show which it is, the answers to the batch `inputs` decide: answers
    between 0 and 1 that sum to 1 are probabilities. Raises ConfigError if neither shows it.
    """
    import keras

    kind = last_activation(model)
    if kind in _PROBABILITIES:
        return model
    if kind in _LOGITS:
        (answer,) = model.outputs
        activation = "sigmoid" if answer.shape[-1] == 1 else "softmax"
        return keras.Model(model.inputs, keras.layers.Activation(activation)(answer))
    if inputs is not None and _are_probabilities(model.predict_on_batch(inputs)):
        return model
    raise ConfigError(
        f"{model.name} ends in {kind or 'a layer that has no activation'}, which gives neither "
        "probabilities nor logits",
        "end it with a sigmoid for two classes, with a softmax for more, or with no activation",
    )


def last_activation(model: Any) -> str | None:
    """The name of the activation that the first output comes out of; "linear" for a dense layer or
    a convolution without one; None where the layers do not tell."""
    tensor = model.outputs[0]
    for _ in range(len(model.layers) + 1):
        operation, node, _ = tensor._keras_history
        name = type(operation).__name__
        if name.lower() in _PROBABILITIES:  # keras.ops.softmax and keras.layers.Softmax
            return name.lower()
        if name in _PASSING:
            tensor = operation._inbound_nodes[node].input_tensors[0]
        elif hasattr(operation, "outputs") and hasattr(operation, "layers"):
            return last_activation(operation)
        else:
            activation = getattr(operation, "activation", None)
            return getattr(activation, "__name__", None)
    return None


def _are_probabilities(answers: Any) -> bool:
    import numpy as np

    within = bool(np.all((answers >= 0) & (answers <= 1)))
    return within and (
        answers.shape[1] == 1 or bool(np.allclose(answers.sum(axis=1), 1, atol=1e-3))
    )
