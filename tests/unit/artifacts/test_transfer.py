"""A trunk with pretrained weights, cut and given a head, with real TensorFlow children."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.builder import build
from harness.artifacts.cache import TRAINING
from harness.artifacts.child.protocol import Trained
from harness.core.errors import UsageError
from harness.core.specs import TrainingSpec, VariantsFile, VariantSpec, WeightsSource
from harness.core.types import Artifact
from tests.unit.artifacts.test_training import Site, Stripes, accuracy

# Children that import TensorFlow take their time on a loaded machine.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1200),
]

# Three blocks, of which the first tells lines that lie from lines that stand already.
TRUNK = """
def build(*, weights=None, seed=0, gray=False, cut=None, classes=2):
    import keras
    import numpy as np
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 1), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-2)(image)
    x = x if gray else keras.layers.Concatenate()([x, x, x])
    for block in range(3):
        x = keras.layers.Conv2D(
            8, 3, strides=2, padding="same", activation="relu", name=f"block_{block}")(x)
        if cut == f"block_{block}":
            break
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    answer = keras.layers.Dense(
        1 if classes == 2 else classes, activation="sigmoid" if classes == 2 else "softmax",
        name="probability")(x)
    model = keras.Model(image, answer)
    if weights:
        with np.load(weights) as kernels:
            for layer in model.layers:
                if layer.name.startswith("block"):
                    kernel = kernels[layer.name]
                    one = layer.kernel.shape[2] == 1
                    kernel = kernel.sum(axis=2, keepdims=True) if one else kernel
                    layer.set_weights([kernel, np.zeros(8)])
    return model


def cuts(model):
    return [layer.name for layer in model.layers if layer.name.startswith("block")]


def inherit(model, parent):
    for layer in model.layers:
        if layer.weights:
            kernel, bias = parent.get_layer(layer.name).get_weights()
            if kernel.ndim == 4 and layer.kernel.shape[2] == 1:
                kernel = kernel.sum(axis=2, keepdims=True)
            layer.set_weights([kernel, bias])
"""


CUTS = ("block_0", "block_1", "block_2")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("weights") / "trunk.npz"
    kernels: dict[str, Any] = {
        f"block_{block}": rng.normal(0, 0.4, (3, 3, 8 if block else 3, 8)).astype(np.float32)
        for block in range(3)
    }
    np.savez(path, **kernels)
    return path


def family(weights: Path) -> VariantsFile:
    def variant(recipe: str = "float32", **options: object) -> VariantSpec:
        return VariantSpec(model="trunk", weights=str(weights), recipe=recipe, options=options)

    folded = TrainingSpec(inherit="whole", epochs=0)
    tuned = TrainingSpec(fine_tune_from="block_1", fine_tune_epochs=2, fine_tune_rate=1e-3)
    return VariantsFile(
        variants={
            "whole": variant(),
            "gray_int8": msgspec.structs.replace(variant("int8", gray=True), training=folded),
            "auto_int8": variant("int8", cut="auto", gray=True),
            "tuned": msgspec.structs.replace(variant(cut="block_1"), training=tuned),
        }
    )


@dataclass(frozen=True)
class Done:
    site: Site
    built: dict[str, Artifact]
    stages: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Done:
    site = Site(tmp_path_factory.mktemp("site") / "root", trunk=TRUNK)
    built = site.build(family(weights), margin=0.2)
    assert not built.failures
    return Done(site, built.artifacts, tuple(site.stages))


def curve(artifact: Artifact) -> dict[str, float]:
    """Accuracy on the validation split by phase, of the last epoch of each."""
    with Path(artifact.path).with_name("training.csv").open() as file:
        return {row["phase"]: float(row["validation_accuracy"]) for row in csv.DictReader(file)}


def test_all_of_them_learn(done: Done, weights: Path) -> None:
    assert list(done.built) == ["whole", "gray_int8", "auto_int8", "tuned"]
    for name, artifact in done.built.items():
        assert accuracy(artifact.path, Stripes()) > 0.9, name
        assert (artifact.trained, artifact.weights) == (True, str(weights)), name


def test_the_trunk_is_run_once_whatever_the_cut_and_the_channels(done: Done) -> None:
    begun = [name for name, stage in done.stages if "frozen trunk" in stage and "(0 of" in stage]
    assert len(begun) == 1
    assert len(list(done.site.cache.glob("features/*.npz"))) == 1


def test_a_row_for_each_cut_and_the_chosen_one_is_told(done: Done) -> None:
    auto = done.built["auto_int8"]
    assert list(curve(auto)) == [f"head after {end}" for end in (*CUTS, "features")]
    assert auto.options["cut"] == "block_0"
    (finding,) = (f for f in auto.findings if f.code == "cut-chosen")
    assert finding.level == "info"
    assert finding.message == (
        "the trunk ends after block_0, the most accurate cut on the 36 validation images; none "
        "smaller is shown to lose at most 10.0 points, half of the margin"
    )
    assert not done.built["whole"].findings
    sizes = [done.built[name].parameters or 0 for name in ("auto_int8", "tuned", "whole")]
    assert sizes[0] < 100 < sizes[1] < 900 < sizes[2]


def test_fine_tuning_goes_on_from_the_head(done: Done) -> None:
    assert list(curve(done.built["tuned"])) == ["head after block_1", "fine-tuning"]
    assert done.built["tuned"].options["cut"] == "block_1"


def test_another_margin_is_another_choice_from_the_same_features(done: Done, weights: Path) -> None:
    strict = done.site.build(family(weights), names=["auto_int8"], margin=0.0).artifacts[
        "auto_int8"
    ]
    assert not any("frozen trunk" in stage for _, stage in done.site.stages)
    noted = [
        msgspec.json.decode(path.read_bytes(), type=Trained).cut
        for path in done.site.cache.glob(f"trained/*/{TRAINING}")
    ]
    chosen = {cut.margin: cut for cut in noted if cut}
    assert set(chosen) == {0.1, 0.0}
    assert chosen[0.0].layer == chosen[0.0].best
    best = None if chosen[0.0].layer == "features" else chosen[0.0].layer
    assert strict.options["cut"] == best


def test_the_same_bytes_from_an_empty_cache(tmp_path: Path, done: Done, weights: Path) -> None:
    names = ["auto_int8", "gray_int8"]  # in another order than before
    again = Site(tmp_path, trunk=TRUNK).build(family(weights), names=names, margin=0.2)
    for name in names:
        files = [Path(built[name].path) for built in (done.built, again.artifacts)]
        assert files[0] != files[1]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_cut_that_is_not_there(done: Done, weights: Path) -> None:
    spec = VariantSpec(model="trunk", weights=str(weights), options={"cut": "blok_1"})
    with pytest.raises(UsageError, match=r"unknown cut: layer 'blok_1'.*'block_1'"):
        done.site.build(VariantsFile(variants={"odd": spec}))


@pytest.mark.parametrize("untrained", [True, False])
def test_without_weights_or_images_the_trunk_is_whole_and_it_is_said(
    tmp_path: Path, weights: Path, untrained: bool
) -> None:
    spec = VariantSpec(
        model="trunk",
        weights=str(weights) if untrained else "auto",
        options={"cut": "auto"},
        training=TrainingSpec(epochs=1),
    )
    project = VariantsFile(
        variants={"auto": spec}, imagenet={"trunk": WeightsSource(package="no-such-weights")}
    )
    site = Site(tmp_path, trunk=TRUNK)
    done = (
        build(["auto"], project, models_dir=site.models, cache_dir=site.cache)
        if untrained
        else site.build(project)
    )
    built = done.artifacts["auto"]
    assert built.options["cut"] is None
    said = {finding.code: finding for finding in built.findings}
    assert "cut: auto needs pretrained weights and images" in said["cut-not-chosen"].message
    if not untrained:
        assert "pip install no-such-weights" in said["trained-from-scratch"].fix
