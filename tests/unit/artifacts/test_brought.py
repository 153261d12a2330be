"""What is read of files that the user brought: metadata, layers, labels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts import brought, scaling_layers
from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import UsageError
from tests.metadata_files import with_metadata
from tests.paths import DATA

MODELS = DATA / "models"


def test_metadata_says_what_the_input_wants(tmp_path: Path) -> None:
    path = with_metadata(
        MODELS / "tiny_float32.tflite",
        tmp_path / "m.tflite",
        mean=[127.5],
        std=[127.5],
        labels=["bright", "dark"],
    )
    artifact = inspect(path, variant="m")
    assert artifact.pixels is not None
    assert (artifact.pixels.name, artifact.pixels.source) == ("-1..1", "metadata")
    assert artifact.labels == ("bright", "dark")


def test_metadata_goes_before_the_quantization(tmp_path: Path) -> None:
    path = with_metadata(MODELS / "s01_i8.tflite", tmp_path / "m.tflite", mean=[10], std=[20])
    pixels = inspect(path, variant="m").pixels
    assert pixels is not None
    assert (pixels.mean, pixels.std, pixels.source) == ((10,), (20,), "metadata")
    plain = inspect(MODELS / "s01_i8.tflite", variant="i8").pixels
    assert plain is not None
    assert (plain.name, plain.source) == ("0..1", "quantization")


def test_metadata_that_the_quantization_contradicts_are_not_believed(tmp_path: Path) -> None:
    """The input's scale is 1: numbers from 0 to 1 would be two steps of it."""
    path = with_metadata(MODELS / "tiny_int8.tflite", tmp_path / "m.tflite", mean=[0], std=[255])
    pixels = inspect(path, variant="m").pixels
    assert pixels is not None
    assert (pixels.name, pixels.source) == ("0..255", "assumed")


@pytest.mark.parametrize("note", [b"\x00", b"junk" * 9, b"\xff" * 64])
def test_broken_metadata_is_as_good_as_none(tmp_path: Path, note: bytes) -> None:
    path = with_metadata(MODELS / "tiny_float32.tflite", tmp_path / "m.tflite", note=note)
    artifact = inspect(path, variant="m")
    assert (artifact.pixels, artifact.labels) == (None, ())


@pytest.mark.parametrize(("mean", "std"), [([0], [0]), ([0], [-1]), ([0, 0], [1, 1]), ([0], [])])
def test_a_normalization_that_makes_no_sense(
    tmp_path: Path, mean: list[float], std: list[float]
) -> None:
    path = with_metadata(MODELS / "tiny_float32.tflite", tmp_path / "m.tflite", mean=mean, std=std)
    assert inspect(path, variant="m").pixels is None


def keras(path: Path, *layers: dict[str, Any]) -> Path:
    config = {"class_name": "Functional", "config": {"layers": list(layers)}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path


def layer(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


INPUT = layer("InputLayer")
TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [None, 8, 8, 3]}}


def called(name: str, *args: Any) -> dict[str, Any]:
    """An operation as Keras 3 writes it, such as `x / 255.`."""
    return {**layer(name), "inbound_nodes": [{"args": list(args), "kwargs": {}}]}


def called_by_keras_2(function: str, constant: float) -> dict[str, Any]:
    nodes = [["input_1", 0, 0, {"y": constant}]]
    return {**layer("TFOpLambda", function=function), "inbound_nodes": nodes}


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([INPUT, layer("Rescaling", scale=1 / 255, offset=0.0)], "0..255"),
        ([INPUT, layer("Rescaling", scale=1 / 127.5, offset=-1)], "0..255"),
        ([INPUT, layer("RandomFlip"), layer("Rescaling", scale=2.0, offset=-1)], "0..1"),
        ([INPUT, layer("Rescaling", scale=255.0)], "0..1"),
        ([INPUT, layer("Normalization", mean=[120.0, 115, 100])], "0..255"),
        ([INPUT, layer("Normalization", mean=[[0.5]])], "0..1"),
        ([INPUT, layer("Sequential", layers=[layer("Rescaling", scale=1 / 255)])], "0..255"),
        ([INPUT, layer("Normalization", mean=None)], None),
        ([INPUT, layer("Conv2D"), layer("Rescaling", scale=1 / 255)], None),
        ([INPUT, layer("Rescaling", scale=[1 / 255] * 3)], "0..255"),
        ([INPUT, layer("Rescaling", scale=0.5, offset=0.5)], "-1..1"),
        ([INPUT, layer("Rescaling", scale=127.5, offset=127.5)], "-1..1"),
        ([INPUT, layer("Rescaling", scale=1.0)], None),
        ([INPUT, layer("Rescaling", scale=1.0), layer("Rescaling", scale=1 / 255)], "0..255"),
        ([INPUT, layer("Rescaling", scale=1 / 255), layer("Normalization", mean=0.4)], "0..255"),
        ([INPUT, layer("Rescaling", scale=["x", 2])], None),
        ([INPUT, called("TrueDivide", TENSOR, 255.0)], "0..255"),
        ([INPUT, called("TrueDivide", 255.0, TENSOR)], None),
        ([INPUT, called("Subtract", TENSOR, 127.5), called("TrueDivide", TENSOR, 127.5)], "0..255"),
        ([INPUT, called("Multiply", 2.0, TENSOR), called("Subtract", TENSOR, 1.0)], "0..1"),
        ([INPUT, called("Subtract", 1.0, TENSOR)], "0..1"),
        ([INPUT, called("Subtract", TENSOR, [123.7, 116.3, 103.5])], "0..255"),
        ([INPUT, called("Add", TENSOR, TENSOR)], None),
        ([INPUT, called("Subtract", TENSOR, [1.0] * 64), layer("Rescaling", scale=2)], None),
        ([INPUT, called_by_keras_2("math.truediv", 255.0)], "0..255"),
        ([INPUT, called_by_keras_2("math.subtract", 0.5), layer("Conv2D")], "0..1"),
        ([INPUT, layer("Normalization", mean=0.0, variance=0.33)], "-1..1"),
        ([INPUT, layer("Normalization", mean=0.1, variance=0.3)], "-1..1"),
        ([INPUT, layer("Normalization", mean=0.48, variance=0.08)], "0..1"),
        ([INPUT, layer("Normalization", mean=3000.0, variance=1e6)], None),
        ([], None),
    ],
)
def test_a_layer_that_scales_says_what_goes_in(
    tmp_path: Path, layers: list[dict[str, Any]], name: str | None
) -> None:
    pixels = scaling_layers.pixels(keras(tmp_path / "m.keras", *layers))
    assert (pixels and pixels.name) == name
    assert pixels is None or pixels.source == "layers"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("adapted_255.keras", "0..255"),
        ("adapted_minus_1.keras", "-1..1"),
        ("adapted_1.h5", "0..1"),
    ],
)
def test_a_normalization_that_was_adapted_says_it_by_its_weights(file: str, name: str) -> None:
    """Made by Keras 3.15: one on pixels, one on -1 to 1 inside a Sequential, one on 0 to 1."""
    pixels = scaling_layers.pixels(DATA / "scaling" / file)
    assert pixels is not None
    assert (pixels.name, pixels.source) == (name, "layers")


def test_a_file_that_is_no_keras_file(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"hello")
    assert scaling_layers.pixels(tmp_path / "m.keras") is None


def test_the_user_goes_first(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\ufeffbright\ndark\n\n")
    by_user = brought.file_options("-1..1", tmp_path / "labels.txt")
    artifact = brought.described(inspect(MODELS / "s01_i8.tflite", variant="x"), by_user)
    assert (artifact.shown.name, artifact.shown.source) == ("-1..1", "asked")
    assert artifact.labels == ("bright", "dark")
    assert artifact.labels_asked


@pytest.mark.parametrize(("content", "says"), [(b"one\n", "holds 1 labels"), (b"\xff", "not text")])
def test_labels_that_cannot_be_used(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        brought.file_options(None, tmp_path / "labels.txt")
    with pytest.raises(UsageError, match="cannot be read"):
        brought.file_options(None, tmp_path / "none.txt")
