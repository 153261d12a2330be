"""Recipes for a float .tflite file that a user brings, by the real quantizer in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import cli
from harness.artifacts.quantize import mixed
from harness.artifacts.quantize.parent import quantized
from harness.artifacts.recipes._tflite import converter
from harness.artifacts.representative import Representative
from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import BuildError, UsageError
from harness.core.types import Artifact
from tests.lazily import Lazily
from tests.paths import DATA

Lazily("litert_quantizer")  # without it these are skipped
# TensorFlow and Keras warn about themselves when they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 16)).astype(np.uint8)
# From dark to bright, so that the answers differ.
IMAGES = (NOISE * np.linspace(0.1, 1, 12)[:, None, None]).astype(np.uint8)
REPRESENTATIVE = Representative("dark to bright", lambda: IMAGES)
ALIKE = Representative("noise", lambda: NOISE)


def plain() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(3),
        ]
    )


def delicate() -> Any:
    """Its features are large and hardly differ from image to image, so that a step of int8 is more
    than what tells the images apart."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 1))
    x = layers.Conv2D(16, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(16, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(4, name="scores")(x))
    model.get_layer("conv").bias.assign(np.full(16, 50.0))
    return model


def brought(model: Any, path: Path) -> Artifact:
    path.write_bytes(converter(model).convert())
    return inspect(path, variant="mine")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return brought(plain(), tmp_path_factory.mktemp("brought") / "mine.tflite")


def answers(artifact: Artifact, images: Any = IMAGES) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=artifact.path)
    interpreter.allocate_tensors()
    (given,), (asked,) = interpreter.get_input_details(), interpreter.get_output_details()
    said = []
    for image in images:
        scale, zero = given["quantization"]
        pixels = image.astype(np.float32)[None, :, :, None]
        value = np.rint(pixels / scale + zero).clip(-128, 127) if scale else pixels
        interpreter.set_tensor(given["index"], value.astype(given["dtype"]))
        interpreter.invoke()
        answer = interpreter.get_tensor(asked["index"])[0].astype(float)
        scale, zero = asked["quantization"]
        said.append((answer - zero) * scale if scale else answer)
    return np.array(said)


@pytest.mark.parametrize(
    ("recipe", "bytes_per_weight"), [("float16", 2), ("dynamic_range", 1), ("int8", 1)]
)
def test_it_is_smaller_and_answers_alike(
    source: Artifact, recipe: str, bytes_per_weight: int, tmp_path: Path
) -> None:
    made = quantized(source, recipe, cache_dir=tmp_path, representative=REPRESENTATIVE)
    assert (made.variant, made.recipe, made.float_parent) == (f"mine-{recipe}", recipe, "mine")
    assert source.parameters is not None
    assert made.size_bytes == pytest.approx(source.parameters * bytes_per_weight, rel=0.15)
    assert mixed.error(answers(made), answers(source)) < 0.1
    again = quantized(source, recipe, cache_dir=tmp_path, representative=REPRESENTATIVE)
    assert (again.path, again.sha256) == (made.path, made.sha256)


def test_int8_takes_pixels(source: Artifact, tmp_path: Path) -> None:
    made = quantized(source, "int8", cache_dir=tmp_path, representative=REPRESENTATIVE)
    (image,) = made.inputs
    assert (image.dtype, image.zero_point) == ("int8", -128)
    assert image.scale == pytest.approx(1, abs=1e-3)


def test_mixed_keeps_what_int8_breaks(tmp_path: Path) -> None:
    source = brought(delicate(), tmp_path / "mine.tflite")
    int8 = quantized(source, "int8", cache_dir=tmp_path, representative=ALIKE)
    mixed_ = quantized(source, "int8-mixed", cache_dir=tmp_path, representative=ALIKE)
    wanted = answers(source, NOISE)
    assert mixed.error(answers(int8, NOISE), wanted) > 0.3
    assert mixed.error(answers(mixed_, NOISE), wanted) < 0.15
    kept = [layer for layer in mixed_.layer_errors if layer.kept]
    assert 0 < len(kept) < len(mixed_.layer_errors)
    assert min(layer.error for layer in kept) >= max(
        layer.error for layer in mixed_.layer_errors if not layer.kept
    )
    (finding,) = (f for f in mixed_.findings if f.code == "kept-in-float")
    assert kept[0].name in finding.message


def test_mixed_is_int8_where_nothing_breaks(source: Artifact, tmp_path: Path) -> None:
    int8, mixed_ = (
        quantized(source, recipe, cache_dir=tmp_path, representative=REPRESENTATIVE)
        for recipe in ("int8", "int8-mixed")
    )
    assert mixed_.sha256 == int8.sha256
    assert "no layer had to stay in float" in mixed_.findings[-1].message


def test_what_cannot_be_quantized_is_refused(source: Artifact, tmp_path: Path) -> None:
    def refusal(artifact: Artifact, recipe: str, images: Representative | None) -> str:
        with pytest.raises((UsageError, BuildError)) as caught:
            quantized(artifact, recipe, cache_dir=tmp_path, representative=images)
        return str(caught.value)

    int8 = inspect(DATA / "models/tiny_int8.tflite", variant="x")
    assert "is quantized already" in refusal(int8, "float16", None)
    assert "--data DIR" in refusal(source, "int8", None)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--recipe", "int8"], "needs images to calibrate with; give them with --data DIR"),
        (["--recipe", "int9"], "unknown recipe 'int9'"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_before_anything_runs(
    arguments: list[str], wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(DATA / "models/tiny_float32.tflite")
    assert cli.main(["bench", file, *arguments, "--out", str(tmp_path / "runs")]) == 2
    assert wanted in capsys.readouterr().err


def test_variants_have_recipes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["bench", "scratch", "--recipe", "float16", "--untrained", "--out", str(tmp_path)]
    assert cli.main(given) == 2
    assert "--recipe is about files that you give" in capsys.readouterr().err
