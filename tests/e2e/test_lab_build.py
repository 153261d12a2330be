"""Variants trained and converted at the hosts of a lab, with real TensorFlow there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.artifacts.builder import Built, build
from harness.artifacts.cache import TrainedCache
from harness.core.build_progress import BuildProgress
from harness.core.specs import TrainingSpec, VariantsFile, VariantSpec
from harness.data.demo_set import DemoSet
from harness.engine import dask
from harness.engine.lab import offers
from harness.measure.lab_build import LabBuild
from harness.system import files
from tests.labs import Lab, lab

pytestmark = pytest.mark.long  # TensorFlow starts for every piece

# Imports a neighbour, which reads another one.
TINY = """
from units import UNITS
def build(*, weights=None, seed=0):
    import keras
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(UNITS, activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(1, activation="sigmoid", name="probability")(x))
"""
UNITS = "from pathlib import Path\nUNITS = int((Path(__file__).parent / 'units.txt').read_text())\n"
BROKEN = "def build():\n    raise ValueError('no such layer')\n"

VARIANTS = VariantsFile(
    variants={
        "large": VariantSpec(model="tiny"),
        "small": VariantSpec(model="tiny", recipe="int8"),
        "bad": VariantSpec(model="broken"),
    },
    training={"tiny": TrainingSpec(epochs=2, batch_size=8), "broken": TrainingSpec(epochs=0)},
)


class Site(NamedTuple):
    """A folder of models, two hosts, and what was built there and here."""

    models: Path
    made: Lab
    away: Built
    here: Built


def built(
    models: Path, cache: Path, made: Lab | None = None, names: tuple[str, ...] = ()
) -> tuple[Built, list[str], list[str]]:
    """(what was built, the stages that were told, what was said)."""
    data = DemoSet(cache, 0, {"train": 24, "validation": 8, "test": 4})
    stages: list[str] = []
    said: list[str] = []

    def note(progress: BuildProgress) -> None:
        stages.append(progress.stage)

    engine = dask.connect(made.address) if made else None
    try:
        return (
            build(
                names or VARIANTS.variants,
                VARIANTS,
                models_dir=models,
                cache_dir=cache,
                data=data,
                progress=note,
                elsewhere=LabBuild(engine, said.append, or_here=False) if engine else None,
            ),
            stages,
            said,
        )
    finally:
        if engine:
            engine.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    models = root / "my models"
    models.mkdir()
    for name, text in (("tiny.py", TINY), ("units.py", UNITS), ("broken.py", BROKEN)):
        (models / name).write_text(text)
    (models / "units.txt").write_text("3")
    with lab() as made:
        for name in ("bench1", "bench2"):
            made.join(name, cores=1, builds=offers.builds(), cache=root / name)
        away, _, said = built(models, root / "away", made)
        assert "1 network trained" in " ".join(said)
        here, _, _ = built(models, root / "here")
        yield Site(models, made, away, here)


def test_the_files_are_those_of_a_build_here(site: Site) -> None:
    assert list(site.away.artifacts) == ["large", "small"]
    for name, artifact in site.here.artifacts.items():
        theirs = site.away.artifacts[name]
        assert Path(theirs.path).read_bytes() == Path(artifact.path).read_bytes()
        assert (theirs.trained, theirs.findings) == (artifact.trained, artifact.findings)
    networks = [
        [files.sha256(path) for path in cache.glob("trained/*/network.npz")]
        for cache in (site.models.parent / "away", site.models.parent / "here")
    ]
    assert len(networks[0]) == 1
    assert networks[0] == networks[1]


def test_a_variant_that_cannot_be_built_is_the_only_one(site: Site) -> None:
    assert list(site.away.failures) == ["bad"]
    failure = site.away.failures["bad"]
    assert "broken.py: ValueError: no such layer" in failure.message
    assert "the log is" in failure.fix and "at bench" in failure.fix


def test_what_a_host_has_is_not_made_again(site: Site, tmp_path: Path) -> None:
    again, stages, _ = built(site.models, tmp_path, site.made, ("large",))
    assert again.artifacts["large"].sha256 == site.away.artifacts["large"].sha256
    trained = TrainedCache(tmp_path)
    (key,) = (path.parent.name for path in tmp_path.glob("trained/*/network.npz"))
    assert trained.has(key)
    assert not [stage for stage in stages if "TensorFlow" in stage]
