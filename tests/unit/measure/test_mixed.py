"""An int8 file that lost accuracy brings one row more, and validation images say whether it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.quantize.parent import quantized
from harness.artifacts.recipes._tflite import converter
from harness.artifacts.representative import of_dataset
from harness.artifacts.tflite.inspect import inspect
from harness.core.types import Artifact
from harness.measure import mixed
from harness.project import config
from harness.project.request import Job, Request
from harness.system.progress import Narrator
from tests.answers import Pictures
from tests.lazily import Lazily

Lazily("litert_quantizer")  # without it these are skipped
# TensorFlow makes the files, and warns about itself.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIZE = 16
Rows = Callable[[float], dict[str, Artifact]]


class Brightness(Pictures):
    """Dark and a little brighter pictures; those of the test split may not be looked at."""

    def __init__(self) -> None:
        labels = np.arange(60) % 2
        super().__init__(list(labels), size=SIZE)
        noise = np.random.default_rng(0).integers(-20, 20, self.images.shape)
        self.images = (110 + 30 * labels[:, None, None] + noise).astype(np.uint8)

    def arrays(self, split: Any) -> Any:
        assert split != "test"
        return super().arrays(split)

    def fingerprint(self, split: Any) -> str:
        return super().fingerprint(split)

    def colours(self, split: Any) -> None:
        """They are grey."""


def brought(offset: float, path: Path) -> Artifact:
    """Tells bright from dark by the mean plus `offset`: a large one leaves int8 no step for it."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(1, 1, name="offset")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(1, activation="sigmoid", name="score")(x))
    model.get_layer("offset").set_weights([np.ones((1, 1, 1, 1)), np.array([offset])])
    model.get_layer("score").set_weights([np.array([[50.0]]), np.array([-50 * (offset + 0.49)])])
    path.write_bytes(converter(model).convert())
    return inspect(path, variant="mine")


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """A float file with its offset, and its int8, by row."""
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path))
    # What the new row does on the test images is told by another function, which looks at them.
    monkeypatch.setattr("harness.measure.prepare.first_words", lambda *_: lambda artifact: None)

    def made(offset: float) -> dict[str, Artifact]:
        source, images = brought(offset, tmp_path / "mine.tflite"), of_dataset(Brightness())
        int8 = quantized(source, "int8", cache_dir=tmp_path, representative=images)
        return {"mine": source, "mine-int8": int8}

    return made


def added(rows: dict[str, Artifact]) -> mixed.Added:
    request, project = Request(data="pictures"), config.load_project(None)
    job = Job(request, project, {}, {}, rows, {}, {}, Brightness())
    return mixed.added(job, rows, {}, Narrator())


def test_what_int8_breaks_is_measured_mixed_too(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    found = added(rows(200.0))
    row = found.artifacts["mine-int8-mixed"]
    assert (row.recipe, row.float_parent) == ("int8-mixed", "mine")
    assert any(layer.kept for layer in row.layer_errors)
    (why,) = (f.message for f in row.findings if f.code == "mixed-added")
    assert why.startswith("mine-int8 loses ")
    assert "60 validation images" in why
    assert "mine-int8-mixed is measured, too" in capsys.readouterr().err
    assert found.findings == ()


def test_what_int8_does_not_break_brings_nothing(rows: Rows) -> None:
    assert added(rows(0.0)) == mixed.Added({}, ())


def test_without_the_quantizer_it_is_said(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = rows(200.0)
    monkeypatch.setattr("harness.artifacts.quantize.PACKAGE", "not_installed")
    found = added(broken)
    assert found.artifacts == {}
    (finding,) = found.findings
    assert finding.code == "mixed-missing"
    assert "pip install" in finding.fix
