"""Whether a converted file gives the same answers as its source, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.artifacts.conversion import Compared
from harness.artifacts.recipes._tflite import inputs_of
from harness.core.types import Finding

_EXAMPLES = 8


Ask = Callable[[Any], Any]  # one example, in a batch of one, to outputs in any structure


def of_keras(model: Any, path: Path, pictures: Any = None) -> tuple[Finding, ...]:
    """`findings` of a Keras model."""
    return findings(inputs_of(model), lambda one: model(one, training=False), path, pictures)


def findings(
    inputs: Sequence[Any], ask: Ask, path: Path, pictures: Any = None
) -> tuple[Finding, ...]:
    """The largest difference between the source's answers and the file's, as a share of the
    largest answer, and how many decisions are the same; no finding where the source or the file
    does not take one float tensor, because there are no inputs to compare on.

    Half of the inputs are between 0 and 1, half between 0 and 255: which range the model was
    made for is not known here. As many `pictures`, uint8 (n, height, width), are added where it
    takes them.
    """
    import numpy as np
    import tensorflow as tf

    from harness.artifacts.child.batches import fitted

    first = inputs[0]
    kind = np.dtype(getattr(first.dtype, "as_numpy_dtype", first.dtype))
    if len(inputs) != 1 or kind.kind != "f":
        return ()
    rng = np.random.default_rng(0)
    examples = rng.uniform(0, 1, (_EXAMPLES, *first.shape[1:])).astype(kind)
    examples[_EXAMPLES // 2 :] *= 255
    shape = tuple(first.shape)
    seen = np.empty((0, *shape[1:]), examples.dtype)
    if pictures is not None and len(shape) == 4 and shape[3] in (1, 3):
        seen = fitted(pictures[:_EXAMPLES], shape).astype(examples.dtype)
        seen[: len(seen) // 2] /= 255
    examples = np.concatenate([examples, seen])
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    given, asked = interpreter.get_input_details()[0], interpreter.get_output_details()
    if given["dtype"] != examples.dtype:
        return ()  # a recipe quantized it, which changes the answers by design
    largest = magnitude = 0.0
    same = 0
    for example in examples[:, np.newaxis]:
        interpreter.set_tensor(given["index"], example)
        interpreter.invoke()
        wanted = [np.asarray(one) for one in tf.nest.flatten(ask(example))]
        answers = [interpreter.get_tensor(detail["index"]) for detail in asked]
        if sorted(one.shape for one in wanted) != sorted(one.shape for one in answers):
            return ()
        # The file may list several outputs in another order.
        wanted.sort(key=lambda one: (one.shape, float(one.sum())))
        answers.sort(key=lambda one: (one.shape, float(one.sum())))
        for left, right in zip(wanted, answers, strict=True):
            largest = max(largest, float(np.abs(left - right).max(initial=0)))
            magnitude = max(magnitude, float(np.abs(left).max(initial=0)))
        same += wanted[0].argmax() == answers[0].argmax()
    return (Compared(largest, magnitude, same, len(examples), len(seen)).finding,)
