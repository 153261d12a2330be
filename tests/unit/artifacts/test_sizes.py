"""Why a file is large: the numbers agree with what Keras counts, with the files that conversion
really makes, and with the same network in the other format."""

from __future__ import annotations

import functools
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.recipes import parse
from harness.artifacts.sizes.explain import explain
from harness.core.errors import UsageError
from harness.core.explanation import Explanation
from tests.paths import DATA

# TensorFlow and Keras warn about themselves when they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def flat() -> Any:
    """A small relative of the network that the project's question is about."""
    import keras
    from keras import layers

    image = keras.Input((32, 32, 1), name="image")
    x = layers.Concatenate()([image, image, image])
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(32, 3, use_bias=False, name="second")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(1, activation="sigmoid", name="answer")(x))


def pooled() -> Any:
    """What the change "global pooling only" makes of it."""
    import keras
    from keras import layers

    whole = flat()
    x = layers.GlobalAveragePooling2D()(whole.layers[-4].output)
    return keras.Model(whole.input, layers.Dense(1, activation="sigmoid")(x))


def separable() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((24, 24, 1)),
            layers.SeparableConv2D(24, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, dilation_rate=2),
            layers.ZeroPadding2D(1),
            layers.Conv2D(48, 1),
            layers.AveragePooling2D(2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def nested() -> Any:
    import keras
    from keras import layers

    trunk = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.BatchNormalization()], name="trunk"
    )
    trunk.trainable = False
    image = keras.Input((16, 16, 3))
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(trunk(image))))


Network = Callable[[], Any]


@functools.cache
def model_of(network: Network, *, trained: bool = False) -> Any:
    model = network()
    if trained:
        model.compile("adam", "mse")
        given = np.zeros((2, *model.inputs[0].shape[1:]), np.float32)
        model.train_on_batch(given, np.zeros((2, *model.outputs[0].shape[1:]), np.float32))
    return model


@functools.cache
def saved_as(network: Network, ending: str, *, trained: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"model{ending}")
        model_of(network, trained=trained).save(path)
        return path.read_bytes()


@functools.cache
def converted_with(network: Network, recipe: str) -> bytes:
    model = model_of(network)
    shape = (1, *model.inputs[0].shape[1:])
    images = [np.random.default_rng(i).uniform(0, 255, shape).astype(np.float32) for i in range(4)]
    data: bytes = parse(recipe, {}).convert(model, images)
    return data


def saved(network: Network, path: Path, *, trained: bool = False) -> tuple[Any, Path]:
    path.write_bytes(saved_as(network, path.suffix, trained=trained))
    return model_of(network, trained=trained), path


def converted(network: Network, recipe: str, path: Path) -> Path:
    path.write_bytes(converted_with(network, recipe))
    return path


def change(found: Explanation, code: str) -> Any:
    return next(c for c in found.changes if c.code == code)


@pytest.mark.parametrize("network", [flat, separable, nested])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_keras_file_has_what_keras_counts(network: Network, ending: str, tmp_path: Path) -> None:
    model, path = saved(network, tmp_path / f"model{ending}")
    found = explain(path)
    assert found.parameters == model.count_params()
    assert sum(part.size_bytes for part in found.parts) == found.size_bytes
    assert sum(kind.size_bytes for kind in found.kinds) == found.parts[0].size_bytes
    assert found.parts[0].size_bytes == 4 * model.count_params()


@pytest.mark.parametrize("network", [flat, separable, nested])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_both_formats_count_the_same_work(network: Network, ending: str, tmp_path: Path) -> None:
    _, path = saved(network, tmp_path / f"model{ending}")
    keras, tflite = explain(path), explain(converted(network, "float32", tmp_path / "m.tflite"))
    assert keras.macs == tflite.macs
    assert keras.grey == tflite.grey or (keras.grey and tflite.grey and keras.grey.macs)


@pytest.mark.parametrize("network", [flat, separable, nested])
def test_the_size_of_the_converted_file_is_foretold(network: Network, tmp_path: Path) -> None:
    _, path = saved(network, tmp_path / "model.keras")
    real = converted(network, "float32", tmp_path / "m.tflite").stat().st_size
    assert change(explain(path), "tflite").size_bytes == pytest.approx(real, rel=0.03, abs=3000)


@pytest.mark.parametrize("recipe", ["float16", "int8"])
def test_fewer_bits_make_it_as_small_as_they_are_said_to(recipe: str, tmp_path: Path) -> None:
    before = explain(converted(flat, "float32", tmp_path / "a.tflite"))
    real = converted(flat, recipe, tmp_path / "b.tflite").stat().st_size
    assert change(before, recipe).size_bytes == pytest.approx(real, rel=0.02)


def test_another_head_makes_it_as_small_as_it_is_said_to(tmp_path: Path) -> None:
    before = explain(converted(flat, "float32", tmp_path / "a.tflite"))
    real = explain(converted(pooled, "float32", tmp_path / "b.tflite"))
    foretold = change(before, "global-pooling-only")
    assert foretold.parameters == real.parameters
    assert foretold.size_bytes == pytest.approx(real.size_bytes, rel=0.05)
    int8 = converted(pooled, "int8", tmp_path / "c.tflite").stat().st_size
    combined = change(before, "global-pooling-only+int8").size_bytes
    assert combined == pytest.approx(int8, abs=3000)
    # The head of nothing but pooling keeps the hidden layer.
    assert foretold.parameters < change(before, "global-pooling").parameters < before.parameters
    assert "64 outputs hold" in foretold.message


def test_what_three_channels_cost(tmp_path: Path) -> None:
    found = explain(converted(flat, "float32", tmp_path / "a.tflite"))
    assert found.grey is not None
    spared = 3 * 3 * 2 * 16  # two of three channels of the first kernel
    assert (found.grey.layer, found.grey.converted) == ("first", True)
    assert (found.grey.parameters, found.grey.size_bytes) == (spared, 4 * spared)
    assert found.grey.macs == spared * 32 * 32
    assert explain(converted(separable, "float32", tmp_path / "b.tflite")).grey is None


def centred() -> Any:
    """One channel becomes three where the mean of each is subtracted, as VGG16 has it."""
    import keras
    from keras import layers

    image = keras.Input((32, 32, 1), name="image")
    x = image - np.array([104.0, 117.0, 124.0], "float32")
    return keras.Model(image, layers.Conv2D(16, 3, padding="same", name="first")(x))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_three_channels_that_a_constant_makes_are_told(ending: str, tmp_path: Path) -> None:
    grey = explain(saved(centred, tmp_path / f"model{ending}")[1]).grey
    assert grey is not None
    assert (grey.layer, grey.parameters) == ("first", 3 * 3 * 2 * 16)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_optimizer_state_is_of_what_is_trained_only(ending: str, tmp_path: Path) -> None:
    """Freezing layers changed the size of the asker's file, and of no .tflite."""
    model, path = saved(nested, tmp_path / f"model{ending}", trained=True)
    found = explain(path)
    state = next(part.size_bytes for part in found.parts if part.name == "optimizer state")
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert state == pytest.approx(2 * 4 * trained, abs=16)  # Adam's two moments, and two counters
    assert found.optimizer == "Adam"
    assert found.frozen == model.count_params() - trained
    assert change(found, "tflite").size_bytes < found.size_bytes / 2


def test_a_quantized_file_is_not_told_to_quantize(tmp_path: Path) -> None:
    found = explain(converted(flat, "int8", tmp_path / "a.tflite"))
    codes = {c.code for c in found.changes}
    assert "global-pooling" in codes
    assert not {code for code in codes if code.endswith(("int8", "float16"))}


def test_a_file_with_layers_of_its_own_is_read_too() -> None:
    found = explain(DATA / "cases/custom_layer.keras")
    assert {kind.kind for kind in found.kinds} == {"Conv2D", "Dense"}


def test_it_is_a_value_that_json_holds(tmp_path: Path) -> None:
    for network, trained in ((flat, False), (nested, True)):
        found = explain(saved(network, tmp_path / "model.keras", trained=trained)[1])
        assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _not_one(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n and nothing more")


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": 3}))


def _weights_only(path: Path) -> None:
    model_of(flat).save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("spoil", [_cut, _not_one, _other_zip, _weights_only])
def test_what_cannot_be_read_is_told_in_one_line(
    spoil: Callable[[Path], None], ending: str, tmp_path: Path
) -> None:
    _, path = saved(flat, tmp_path / f"model{ending}")
    spoil(path)
    with pytest.raises(UsageError) as caught:
        explain(path)
    assert caught.value.message.startswith(str(path))
    assert "\n" not in str(caught.value)
