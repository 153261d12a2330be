"""A network of one's own: a file in models/ and a line in models/variants.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.results import store
from tests.e2e.test_bench_cli import harness
from tests.line_pictures import folder

ONE_VARIANT = """
variants:
  small:
    model: small
    default: true
"""
SMALL_MODEL = """
def build(*, seed=0, filters=4):
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((256, 256, 1))
    x = keras.layers.Conv2D(filters, 3, strides=8)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the user's own with one small model."""
    root = tmp_path / "project"
    (root / "models").mkdir(parents=True)
    (root / "devices.yaml").write_text("devices: {host: {kind: host}}")
    (root / "models/variants.yaml").write_text(ONE_VARIANT)
    (root / "models/small.py").write_text(SMALL_MODEL)
    return root


@pytest.mark.long
def test_a_model_of_ones_own_takes_a_file_and_a_line(project: Path, tmp_path: Path) -> None:
    bench = (
        "bench",
        "--quick",
        "--launches",
        "1",
        "--data",
        folder(tmp_path / "lines", {"lying": 15, "up": 15}),
    )
    done = harness(*bench, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "small" in done.stdout
    warm = harness(*bench, cwd=project)
    assert warm.returncode == 0
    assert "convert" not in warm.stderr
    reports = sorted((project / "reports").glob("[0-9]*"))
    first, second = (store.read_report(r).artifacts[0] for r in reports)
    assert first == second

    (project / "models/small.py").write_text(SMALL_MODEL.replace("Conv2D(filters", "Conv2D(9"))
    changed = harness(*bench, cwd=project)
    assert changed.returncode == 0
    third = store.read_report(sorted((project / "reports").glob("[0-9]*"))[-1]).artifacts[0]
    assert third.sha256 != first.sha256
