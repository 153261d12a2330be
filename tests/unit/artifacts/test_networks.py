"""Networks made from networks: widened, pruned of channels, folded, inherited."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.cache import TRAINING
from harness.artifacts.child import networks
from harness.artifacts.child.protocol import Network, Trained
from harness.artifacts.child.widen import widen
from harness.core.errors import ConfigError
from tests.paths import ROOT

MODELS = ROOT / "models"

# TensorFlow and Keras warn about themselves when they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def model_file(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def images() -> Any:
    return np.random.default_rng(0).integers(0, 256, (4, 64, 64, 1)).astype(np.float32)


def stir(model: Any, images: Any) -> None:
    """Every weight away from its initial value, as training leaves it, and answers that depend on
    the image without being sure of themselves."""
    import keras

    rng = np.random.default_rng(1)
    for layer in model.layers:
        values = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            shape = values[0].shape
            moved = [rng.normal(0, 0.1, shape) for _ in range(3)]
            layer.set_weights([1 + moved[0], *moved[1:], rng.uniform(0.5, 1.5, shape)])
        elif values:
            depthwise = type(layer).__name__ == "DepthwiseConv2D"
            inputs = values[0].shape[:2] if depthwise else values[0].shape[:-1]
            values[0] = rng.normal(0, np.sqrt(2 / np.prod(inputs)), values[0].shape)
            values[1:] = [rng.normal(0, 0.1, bias.shape) for bias in values[1:]]
            layer.set_weights(values)
    head = model.layers[-1]
    before = keras.Model(model.input, head.input)(images).numpy()
    head.bias.assign([0])
    logits = before @ head.kernel.numpy()
    head.kernel.assign(head.kernel / np.ptp(logits))
    head.bias.assign([-logits.mean() / np.ptp(logits)])


WIDTHS = [
    ("vgg16", {"head": "gap", "width": 0.0625, "batch_norm": True}, {"head": "gap", "width": 0.2}),
    ("vgg16", {"head": "flatten", "width": 0.0625, "batch_norm": True}, {"width": 0.125}),
    ("mobilenet", {"alpha": 0.35}, {"alpha": 0.5}),
    ("scratch", {"filters": (3, 4, 5)}, {"filters": (7, 8, 9)}),
]


@pytest.mark.parametrize(("name", "small", "large"), WIDTHS)
def test_widened_network_computes_the_same(
    name: str, small: dict[str, Any], large: dict[str, Any], images: Any
) -> None:
    build = model_file(name).build
    narrow = build(input_size=64, **small)
    stir(narrow, images)
    wide = build(input_size=64, seed=1, **large)
    before = wide(images).numpy()
    widen(wide, narrow)
    answers = narrow(images).numpy()
    assert np.ptp(answers) > 0.1  # they depend on the image
    assert np.abs(answers - before).max() > 1e-3
    assert np.abs(answers - wide(images).numpy()).max() < 1e-4


def test_networks_that_differ_in_more_than_width_are_refused() -> None:
    scratch = model_file("scratch").build
    shallow, deep = (
        scratch(input_size=64, filters=(4,)),
        scratch(input_size=64, filters=(4, 8)),
    )
    with pytest.raises(ConfigError, match="differ in the layer"):
        widen(deep, shallow)


def test_pruned_channels_are_the_smallest() -> None:
    module = model_file("vgg16")
    parent = module.build(input_size=32, head="gap", width=0.125)
    slim = module.build(input_size=32, head="gap", width=0.0625, seed=3)
    module.inherit(slim, parent)
    norms = np.abs(parent.get_layer("block1_conv1").kernel.numpy()).sum(axis=(0, 1, 2))
    kept = np.abs(slim.get_layer("block1_conv1").kernel.numpy()).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(sorted(kept), sorted(norms)[-4:])
    assert slim.count_params() < parent.count_params() / 3


def test_pruning_copies_of_channels_changes_nothing(images: Any) -> None:
    module = model_file("vgg16")
    narrow = module.build(input_size=64, head="gap", width=0.0625)
    wide = module.build(input_size=64, head="gap", width=0.25, seed=1)
    back = module.build(input_size=64, head="gap", width=0.125, seed=2)
    widen(wide, narrow)
    module.inherit(back, wide)
    np.testing.assert_allclose(back(images), narrow(images), atol=1e-4)


def test_channels_before_a_flatten_are_not_pruned() -> None:
    module = model_file("vgg16")
    wide, slim = (module.build(input_size=32, width=w) for w in (0.125, 0.0625))
    with pytest.raises(ValueError, match="head: gap only"):
        module.inherit(slim, wide)


def test_trained_mobilenet_folds_exactly(tmp_path: Path, images: Any) -> None:
    options: dict[str, Any] = {"alpha": 0.35, "input_size": 64}
    three = model_file("mobilenet").build(**options)
    stir(three, images)
    path = tmp_path / "network.npz"
    networks.save(three, path)
    noted = Trained(sha256="0", curve=(), wall_s=0, cpu_s=0, peak_rss_bytes=None, images=0)
    path.with_name(TRAINING).write_bytes(msgspec.json.encode(noted))
    trained = Network(model_file=str(MODELS / "mobilenet.py"), options=options, trained=str(path))
    gray = networks.make(
        Network(model_file=trained.model_file, options={**options, "gray": True}, parent=trained)
    )
    assert gray.get_layer("Conv1").kernel.shape == (3, 3, 1, 16)
    answers = three(images).numpy()
    assert np.ptp(answers) > 0.1
    assert np.abs(answers - gray(images).numpy()).max() < 1e-4


def test_a_model_file_without_inherit_copies_and_says_when_it_cannot() -> None:
    file = str(MODELS / "scratch.py")
    parent = Network(model_file=file, options={"input_size": 64}, seed=5)
    child = Network(model_file=file, options={"input_size": 64}, parent=parent)
    for mine, theirs in zip(
        networks.make(child).get_weights(), networks.make(parent).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    other = Network(model_file=file, options={"input_size": 128}, parent=parent)
    with pytest.raises(ConfigError, match="cannot inherit"):
        networks.make(other)
