"""Makes tests/data/models/*.tflite, which are checked in: `python tests/data/make_models.py`.

Needs TensorFlow. The files differ from one TensorFlow to the next, the tests do not care.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

MODELS = Path(__file__).parent / "models"


def tiny() -> keras.Model:
    """Two strided convolutions and a dense layer on a 256 x 256 grey image."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((256, 256, 1), batch_size=1, name="image")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, strides=4, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="cracked")(x))


def float32(model: keras.Model) -> bytes:
    """Converted as it is."""
    converted: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return converted


def int8(model: keras.Model) -> bytes:
    """Weights, activations, input and output in int8; the input's scale is 1, its zero point
    -128, since the calibration images use every grey from 0 to 255."""
    random = np.random.default_rng(0)

    def images() -> Iterator[list[np.ndarray]]:
        for _ in range(8):
            image = random.integers(0, 256, (1, 256, 256, 1)).astype(np.float32)
            image[0, 0, :2, 0] = 0.0, 255.0
            yield [image]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converted: bytes = converter.convert()
    return converted


def pruned(model: keras.Model) -> keras.Model:
    """The smaller four of five weights of every kernel are zero."""
    for weight in model.trainable_variables:
        if weight.ndim > 1:
            values = np.asarray(weight)
            weight.assign(np.where(np.abs(values) < np.quantile(np.abs(values), 0.8), 0, values))
    return model


class Two(tf.Module):  # type: ignore[misc]
    """Two signatures with inputs of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.reshape(tf.range(12.0), (4, 3)))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="left")])  # type: ignore[untyped-decorator]
    def encode(self, left: tf.Tensor) -> dict[str, tf.Tensor]:
        """(1, 4) -> (1, 3)"""
        return {"code": tf.linalg.matmul(left, self.weights)}

    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, name="right")])  # type: ignore[untyped-decorator]
    def decode(self, right: tf.Tensor) -> dict[str, tf.Tensor]:
        """(1, 3) -> (1, 4)"""
        return {"image": tf.linalg.matmul(right, self.weights, transpose_b=True)}


def two_signatures() -> bytes:
    """`encode` and `decode`."""
    module = Two()
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"encode": module.encode, "decode": module.decode}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*signatures])
        converted: bytes = converter.convert()
    return converted


def open_batch() -> bytes:
    """Any number of rows at a time, as Keras converts a model unless told otherwise."""
    inputs = keras.Input((4,))
    return float32(keras.Model(inputs, keras.layers.Dense(2)(inputs)))


def dynamic() -> bytes:
    """Pictures of any size."""
    inputs = keras.Input((None, None, 1), batch_size=1)
    x = keras.layers.Conv2D(2, 3)(inputs)
    return float32(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))


def strings() -> bytes:
    """Looks words up in a table."""
    words = tf.constant(["intact", "cracked"])
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(words, tf.constant([0, 1], tf.int64)), -1
    )

    class Lookup(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = table

        @tf.function(input_signature=[tf.TensorSpec((1,), tf.string, name="word")])  # type: ignore[untyped-decorator]
        def look_up(self, word: tf.Tensor) -> tf.Tensor:
            return self.table.lookup(word)

    module = Lookup()
    function = module.look_up.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converted: bytes = converter.convert()
    return converted


def main() -> None:
    """Write all six files."""
    MODELS.mkdir(exist_ok=True)
    model = tiny()
    for name, data in {
        "tiny_float32": float32(model),
        "tiny_int8": int8(model),
        "two_signatures": two_signatures(),
        "tiny_pruned": float32(pruned(tiny())),
        "dynamic": dynamic(),
        "open_batch": open_batch(),
        "strings": strings(),
    }.items():
        (MODELS / f"{name}.tflite").write_bytes(data)


if __name__ == "__main__":
    main()
