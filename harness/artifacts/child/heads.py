"""The head of a transfer model: one dense layer on the features of a frozen trunk, solved exactly.

It is a logistic regression on standardized features, whose standardization is folded into the dense
layer, so that the network carries no extra operation. A feature that hardly varies would get a huge
weight in this way, and int8 would then round all other weights to 0, so that whole networks answer
at chance. So no deviation may fall below a floor, and the floor, like the strength of
regularization, is the one that does best on the validation split after features and weights have
been rounded to 8 bits as int8 does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.artifacts.child.batches import class_weights
from harness.artifacts.child.objective import judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Penalties on the squared weights of standardized features, and the floors of the features'
# deviations as quantiles of all of them: 0 is none, 1 scales all features alike.
STRENGTHS = (1e-1, 1e-2, 1e-3)
FLOORS = (0.0, 0.5, 1.0)
_ITERATIONS = 300


@dataclass(frozen=True)
class Head:
    """A dense layer: kernel float32 (features, outputs), bias (outputs,); and how it does on the
    validation split as int8 would answer: `right` is bool (n,)."""

    kernel: Any
    bias: Any
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    right: Any


def solve(
    train: Any, train_labels: Any, validation: Any, validation_labels: Any, classes: int
) -> Head:
    """The best head for features float32 (n, d) and labels int (n,)."""
    import numpy as np

    features = train.astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    rounded = _rounded_to_8_bits(validation.astype(np.float64), features.min(), features.max())
    best: Head | None = None
    for floor in FLOORS:
        lowest = np.quantile(deviation, floor)
        scale = np.where(deviation > 0, np.maximum(deviation, lowest), max(lowest, 1.0))
        standard = (features - mean) / scale
        start = None
        for strength in STRENGTHS:
            start = weights, bias = _regression(
                standard, train_labels, classes, strength, start=start
            )
            kernel = weights / scale[:, np.newaxis]
            bias = bias - mean @ kernel
            answers = _probabilities(rounded @ _weights_of_8_bits(kernel) + bias)
            loss, accuracy = judge(answers, validation_labels)
            if best is None or loss < best.validation_loss:
                learned, _ = judge(_probabilities(features @ kernel + bias), train_labels)
                best = Head(
                    kernel.astype(np.float32),
                    bias.astype(np.float32),
                    learned,
                    loss,
                    accuracy,
                    _decisions(answers) == validation_labels,
                )
    assert best is not None
    return best


def _regression(
    features: Floats,
    labels: Any,
    classes: int,
    strength: float,
    start: tuple[Floats, Floats] | None,
) -> tuple[Floats, Floats]:
    """Weights (d, outputs) and bias (outputs,) that make the mean log loss, all classes counting
    alike, plus half the strength times the squared weights smallest."""
    import numpy as np
    from scipy.optimize import minimize

    outputs = 1 if classes == 2 else classes
    shares = class_weights(labels, classes)[labels].astype(np.float64)
    shares /= shares.sum()
    wanted = np.eye(classes)[labels]
    wanted = wanted[:, 1:] if classes == 2 else wanted

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights, bias = flat[:-outputs].reshape(-1, outputs), flat[-outputs:]
        logits = features @ weights + bias
        if outputs == 1:
            losses = np.logaddexp(0, logits) - wanted * logits
        else:
            losses = np.logaddexp.reduce(logits, axis=1, keepdims=True) - logits
            losses = losses * wanted
        slope = shares[:, np.newaxis] * (_probabilities(logits) - wanted)
        value = float(shares @ losses.sum(axis=1)) + strength / 2 * float((weights**2).sum())
        gradient = features.T @ slope + strength * weights
        return value, np.concatenate([gradient.ravel(), slope.sum(axis=0)])

    flat = (
        np.zeros((features.shape[1] + 1) * outputs)
        if start is None
        else np.concatenate([start[0].ravel(), start[1]])
    )
    found = minimize(
        objective, flat, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
    ).x
    return found[:-outputs].reshape(-1, outputs), found[-outputs:]


def _probabilities(logits: Floats) -> Floats:
    """(n, 1) or (n, classes) logits -> sigmoid or softmax."""
    import numpy as np

    if logits.shape[1] == 1:
        certain: Floats = np.exp(-np.logaddexp(0, -logits))
        return certain
    shares: Floats = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return shares


def _decisions(probabilities: Floats) -> Any:
    import numpy as np

    if probabilities.shape[1] == 1:
        return (probabilities[:, 0] > 0.5).astype(np.int64)
    return probabilities.argmax(axis=1)


def _rounded_to_8_bits(values: Floats, low: float, high: float) -> Floats:
    """One scale for the whole tensor, its range from the training split, as int8 activations."""
    import numpy as np

    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255 or 1.0
    rounded: Floats = np.clip(np.round((values - low) / step), 0, 255) * step + low
    return rounded


def _weights_of_8_bits(kernel: Floats) -> Floats:
    """One scale for each output, symmetrical around zero, as int8 weights."""
    import numpy as np

    step = np.abs(kernel).max(axis=0) / 127
    rounded: Floats = np.round(kernel / np.where(step > 0, step, 1)) * step
    return rounded
