"""What networks answer with, told by their last layers, in Keras and in the .tflite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.child.answers import last_activation, with_probabilities
from harness.artifacts.child.reasons import line
from harness.artifacts.recipes._tflite import converter
from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import ConfigError, UsageError

# TensorFlow and Keras warn about themselves when they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def network(ending: str, classes: int = 3) -> Any:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 1), name="image")
    x = layers.Flatten()(image)
    endings = {
        "softmax": lambda: layers.Dense(classes, activation="softmax")(x),
        "layer": lambda: layers.Softmax()(layers.Dense(classes)(x)),
        "operation": lambda: keras.ops.softmax(layers.Dense(classes)(x)),
        "reshaped": lambda: layers.Reshape((classes,))(layers.Dense(classes)(x)),
        "logits": lambda: layers.Dense(classes)(x),
        "relu": lambda: layers.Dense(classes, activation="relu")(x),
        "nested": lambda: keras.Sequential(
            [keras.Input((64,)), layers.Dense(classes, activation="sigmoid")]
        )(x),
    }
    return keras.Model(image, endings[ending]())


@pytest.mark.parametrize(
    ("ending", "activation"),
    [
        *(("softmax", "softmax"), ("layer", "softmax"), ("operation", "softmax")),
        *(("reshaped", "linear"), ("logits", "linear"), ("relu", "relu"), ("nested", "sigmoid")),
    ],
)
def test_the_last_activation_is_found(ending: str, activation: str) -> None:
    assert last_activation(network(ending)) == activation


@pytest.mark.parametrize(("ending", "classes"), [("logits", 3), ("logits", 1), ("reshaped", 3)])
def test_logits_are_trained_as_probabilities(ending: str, classes: int) -> None:
    model = network(ending, classes)
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    logits = model.predict_on_batch(images)
    wrapped = with_probabilities(model)
    found = wrapped.predict_on_batch(images)
    if classes == 1:
        wanted = 1 / (1 + np.exp(-logits))
    else:
        wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert [id(w) for w in wrapped.weights] == [id(w) for w in model.weights]


def test_probabilities_are_left_alone_and_anything_else_is_refused() -> None:
    model = network("softmax")
    assert with_probabilities(model) is model
    with pytest.raises(ConfigError, match="ends in relu"):
        with_probabilities(network("relu"), np.ones((4, 8, 8, 1), np.float32))


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        *(("softmax", "probabilities"), ("nested", "probabilities")),
        *(("logits", "logits"), ("reshaped", "logits"), ("relu", None)),
    ],
)
def test_the_file_tells_the_same(ending: str, kind: str | None, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(converter(network(ending)).convert())
    assert inspect(path, variant="x").answers == kind


def test_a_model_without_an_input_is_refused() -> None:
    import keras

    with pytest.raises(UsageError, match=r"begin it with keras\.Input"):
        converter(keras.Sequential([keras.layers.Dense(3)]))


USER_CODE = """in user code:

    File "/a/b.py", line 3, in serve  *
        return model(x)
    File "/a/keras/layer.py", line 9, in call  *
        raise ValueError("x")

    ValueError: Exception encountered when calling Scale.call().

    \x1b[1mInput 0 is incompatible: expected axis -1\x1b[0m

    Arguments received by Scale.call():
      \u2022 args=()
"""


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (AttributeError(USER_CODE), "ValueError: Input 0 is incompatible: expected axis -1"),
        (
            AttributeError("in user code:\n\n    File \"x\", line 1\n\n    KeyError: 'a'\n"),
            "KeyError: 'a'",
        ),
        (
            TypeError("could not be deserialized\n\nCould not locate class 'Scale'. Make sure"),
            "it needs the class 'Scale', which Keras does not have",
        ),
        (
            RuntimeError("Some ops are not supported\nTF Select ops: FFT2D, Rfft\nDetails: ..."),
            "TFLite has no operator for FFT2D, Rfft",
        ),
        (ValueError("plain\nmore"), "ValueError: plain"),
        (ValueError(""), "ValueError"),
    ],
)
def test_the_reason_is_dug_out(error: Exception, wanted: str) -> None:
    assert line(error) == wanted
