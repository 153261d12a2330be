"""What training minimizes, and how a network is judged meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SMALLEST = 1e-6  # the smallest probability, because log(0) is infinite


def objective(classes: int, imitation: float, temperature: float) -> Callable[[Any, Any], Any]:
    """The loss of one example: cross-entropy with its label and, with `imitation` more than 0,
    with a teacher's answers (Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531).

    Targets are (n, 1) labels, followed by the teacher's answers where there is one; answers are
    one sigmoid for two classes and a softmax for more. The gradients of softened answers are
    smaller by the temperature squared, which is why their part is multiplied by it.
    """
    import keras

    def against(probabilities: Any, log_probabilities: Any) -> Any:
        return -keras.ops.sum(probabilities * log_probabilities, axis=-1)

    def loss(targets: Any, outputs: Any) -> Any:
        logs = _log_probabilities(outputs)
        labels = keras.ops.one_hot(keras.ops.cast(targets[:, 0], "int32"), classes)
        plain = against(labels, logs)
        if not imitation:
            return plain
        soft = keras.ops.log_softmax(logs / temperature, axis=-1)
        wanted = keras.ops.softmax(_log_probabilities(targets[:, 1:]) / temperature, axis=-1)
        imitated = against(wanted, soft) * temperature**2
        return (1 - imitation) * plain + imitation * imitated

    return loss


def _log_probabilities(outputs: Any) -> Any:
    """(n, 1) or (n, classes) probabilities -> (n, classes) logarithms."""
    import keras

    if outputs.shape[-1] == 1:
        outputs = keras.ops.concatenate([1 - outputs, outputs], axis=-1)
    return keras.ops.log(keras.ops.clip(outputs, _SMALLEST, 1.0))


def judge(outputs: Any, labels: Any) -> tuple[float, float]:
    """(log loss, accuracy) of answers (n, 1) or (n, classes) to examples with these labels; all
    classes count alike."""
    import numpy as np

    from harness.artifacts.child.batches import class_weights

    if outputs.shape[1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    right = np.clip(outputs[np.arange(len(labels)), labels].astype(np.float64), _SMALLEST, 1)
    weights = class_weights(labels, outputs.shape[1])[labels]
    return (
        float(np.average(-np.log(right), weights=weights)),
        float(np.mean(outputs.argmax(axis=1) == labels)),
    )
