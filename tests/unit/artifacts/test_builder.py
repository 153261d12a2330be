"""From a model file to an artifact, with real TensorFlow children and a cache on the disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.builder import build, build_keras_file
from harness.artifacts.representative import Representative
from harness.core.build_progress import BuildProgress
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import VariantsFile, VariantSpec
from harness.core.types import Artifact
from tests import in_keras
from tests.paths import ROOT

pytestmark = pytest.mark.slow  # TensorFlow starts for every build

TINY = """
def build(*, weights=None, seed=0, units=4, gain=1.0):
    import keras
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 1), name="image")
    x = keras.layers.Rescaling(gain / 255)(image)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(1, activation="sigmoid", name="probability")(x))
"""

REPRESENTATIVE = Representative(
    "noise", lambda: np.random.default_rng(0).integers(20, 200, (4, 24, 24)).astype(np.uint8)
)


def project(**variants: VariantSpec) -> VariantsFile:
    return VariantsFile(variants=variants)


class Site:
    """A folder with models and a cache, and the stages that were reported."""

    def __init__(self, root: Path, **models: str) -> None:
        self.models = root / "models"
        self.cache = root / "cache"
        self.models.mkdir(parents=True)
        for name, source in models.items():
            (self.models / f"{name}.py").write_text(source)
        self.stages: list[tuple[str, str]] = []

    def note(self, progress: BuildProgress) -> None:
        self.stages.append((progress.variant, progress.stage))

    def ended(self) -> dict[str, str]:
        """The last stage of each variant."""
        stages, self.stages = self.stages, []
        return dict(stages)

    def build(self, variants: VariantsFile, **options: Any) -> Any:
        return build(
            variants.variants,
            variants,
            models_dir=self.models,
            cache_dir=self.cache,
            representative=options.pop("representative", REPRESENTATIVE),
            progress=self.note,
            **options,
        )

    def leftovers(self) -> list[str]:
        folder = self.cache / "artifacts"
        return [p.name for p in folder.glob("*") if p.name[0] == "."] if folder.exists() else []


PAIR = project(
    small=VariantSpec(model="tiny", recipe="int8"), large=VariantSpec(model="tiny", options={})
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two variants of one model, built once; the path is as bad as paths get."""
    root = tmp_path_factory.mktemp("site") / 'it\'s; "Größe" $(ls) ünd\tso'
    built = Site(root, tiny=TINY)
    result = built.build(PAIR)
    assert result.failures == {}
    assert list(result.artifacts) == ["small", "large"]
    return built


def copy(site: Site, tmp_path: Path) -> Site:
    """The site with its cache, to be changed."""
    shutil.copytree(site.models.parent, tmp_path / "copy")
    other = Site.__new__(Site)
    other.models, other.cache = tmp_path / "copy" / "models", tmp_path / "copy" / "cache"
    other.stages = []
    return other


def test_artifact_says_what_it_is(site: Site) -> None:
    small, large = site.build(PAIR).artifacts.values()
    assert (small.variant, small.model, small.recipe) == ("small", "tiny", "int8")
    assert (small.weights, small.trained, small.float_parent) == ("random", False, "large")
    assert small.options == {"units": 4, "gain": 1.0}  # the defaults too: they made it
    assert large.float_parent is None
    (image,) = small.inputs
    assert (image.dtype, image.shape, image.scale, image.zero_point) == (
        "int8",
        (1, 16, 16, 1),
        1.0,
        -128,
    )
    assert Path(small.path).stat().st_size == small.size_bytes
    assert site.leftovers() == []
    assert {p.name for p in Path(small.path).parent.iterdir()} == {
        "model.tflite",
        "artifact.json",
        "used-by",
    }


def test_second_run_neither_converts_nor_imports(site: Site) -> None:
    code = """
import sys, time, msgspec
from pathlib import Path
from harness.artifacts.builder import build
from harness.artifacts.representative import Representative
from harness.core.specs import VariantsFile
variants = msgspec.json.decode(sys.argv[1], type=VariantsFile)
stages = []
built = build(variants.variants, variants, models_dir=Path(sys.argv[2]),
    cache_dir=Path(sys.argv[3]), representative=Representative("noise", None),
    progress=lambda p: stages.append(p.stage))
assert len(built.artifacts) == 2
assert stages == ["cached", "cached"], stages
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules), "heavy imports"
"""
    arguments = [msgspec.json.encode(PAIR).decode(), str(site.models), str(site.cache)]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True)


def test_a_change_rebuilds_what_it_touches(site: Site, tmp_path: Path) -> None:
    site = copy(site, tmp_path)
    changed = Representative("other noise", REPRESENTATIVE.images)
    site.build(PAIR, representative=changed)
    assert site.ended() == {"small": "built", "large": "cached"}
    wider = project(
        small=PAIR.variants["small"], large=VariantSpec(model="tiny", options={"units": 5})
    )
    site.build(wider)
    assert site.ended() == {"small": "cached", "large": "built"}


def test_same_inputs_same_bytes(site: Site, tmp_path: Path) -> None:
    fresh = Site(tmp_path / "fresh", tiny=TINY)
    again, before = fresh.build(PAIR).artifacts, site.build(PAIR).artifacts
    assert {n: a.sha256 for n, a in again.items()} == {n: a.sha256 for n, a in before.items()}


def test_corrupted_artifact_is_rebuilt_and_said_so(site: Site, tmp_path: Path) -> None:
    site = copy(site, tmp_path)
    large = site.build(PAIR).artifacts["large"]
    path = Path(large.path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    rebuilt = site.build(PAIR).artifacts["large"]
    assert rebuilt.sha256 == large.sha256
    assert [finding.code for finding in rebuilt.findings] == ["cache-corrupted"]
    assert site.build(PAIR).artifacts["large"].findings == ()


def test_failing_models_do_not_stop_the_others(tmp_path: Path) -> None:
    raises = "import os\nraise ValueError('no such layer\\nsecond line')\n"
    killed = "import os\ndef build():\n    os.kill(os.getpid(), 11)\n"
    exits = "import os\ndef build():\n    print('noise'); os._exit(7)\n"
    site = Site(tmp_path, a=raises + "def build(): ...\n", b=killed, c=exits, d=TINY)
    built = site.build(project(**{name: VariantSpec(model=name) for name in "abcd"}))
    assert list(built.artifacts) == ["d"]
    said = {name: failure.message for name, failure in built.failures.items()}
    assert said == {
        "a": f"{site.models / 'a.py'}: ValueError: no such layer",
        "b": "the TensorFlow process was killed by SIGSEGV",
        "c": "the TensorFlow process ended with status 7",
    }
    for failure in built.failures.values():
        log = Path(failure.fix.partition("the log is ")[2])
        assert log.is_file()
    assert "noise" in log.read_text()
    assert site.ended() == {"a": "failed", "b": "failed", "c": "failed", "d": "built"}
    assert site.leftovers() == []


def test_hanging_child_is_ended(tmp_path: Path) -> None:
    site = Site(tmp_path, hangs="import time\ndef build():\n    time.sleep(600)\n")
    built = site.build(project(hangs=VariantSpec(model="hangs")), timeout_s=4.0)
    assert built.failures["hangs"].message == "building took over 4 s"
    assert site.leftovers() == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (VariantSpec(model="tny"), "unknown model 'tny'; did you mean 'tiny'?"),
        (VariantSpec(model="tiny", options={"unit": 3}), "did you mean 'units'?"),
        (VariantSpec(model="tiny", recipe="int9"), "unknown recipe 'int9'; did you mean 'int8'"),
        (VariantSpec(model="tiny", recipe_options={"sparsity": 1}), "unknown option"),
        (VariantSpec(model="tiny", weights="imagenet"), "this model has none"),
        (VariantSpec(model="tiny", weights="gone.h5"), "there is no file"),
        (VariantSpec(model="tiny", float_parent="tni"), "unknown float_parent 'tni'"),
        (VariantSpec(model="broken"), "broken.py, line 2"),
    ],
)
def test_wrong_request_is_refused_before_anything_is_built(
    tmp_path: Path, spec: VariantSpec, says: str
) -> None:
    site = Site(tmp_path, tiny=TINY, broken="def build():\nreturn 1\n")
    with pytest.raises(UsageError) as caught:
        site.build(project(good=VariantSpec(model="tiny"), bad=spec))
    assert str(caught.value).startswith("variant bad: ")
    assert says in str(caught.value)
    assert not site.cache.exists()


def test_unknown_variant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown variant 'sml'; did you mean 'small'"):
        build(
            ["sml"],
            PAIR,
            models_dir=tmp_path,
            cache_dir=tmp_path,
            representative=REPRESENTATIVE,
        )


def test_without_tensorflow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UsageError, match=r"pip install 'mobile-bench-harness\[build\]'"):
        Site(tmp_path, tiny=TINY).build(PAIR)


# --- two at once -----------------------------------------------------------------------------

BUILD = """
import sys, msgspec
from pathlib import Path
from harness.artifacts.builder import build
from harness.artifacts.representative import Representative
from harness.core.specs import VariantsFile, VariantSpec
variants = VariantsFile(variants={"large": VariantSpec(model="tiny")})
def say(progress):
    print(progress.stage, flush=True)
build(["large"], variants, models_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]),
    representative=Representative("noise", None), progress=say)
"""


def start(site: Site) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(site.models), str(site.cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_two_harnesses_build_it_once(tmp_path: Path) -> None:
    site = Site(tmp_path, tiny=TINY)
    waited = "waiting for another process that builds the same"
    told: list[str] = []
    begun: list[subprocess.Popen[str]] = []

    def note(progress: BuildProgress) -> None:
        """The other one begins while this one builds, which goes on once it is waited for."""
        if progress.stage == "converting":
            begun.append(start(site))
            assert begun[0].stdout is not None
            for line in begun[0].stdout:
                told.append(line)
                if line == f"{waited}\n":
                    break
        site.note(progress)

    one = project(large=VariantSpec(model="tiny"))
    built = build(
        ["large"],
        one,
        models_dir=site.models,
        cache_dir=site.cache,
        representative=REPRESENTATIVE,
        progress=note,
    )
    with begun[0] as other:
        rest = other.communicate()[0].splitlines()
    assert (built.failures, other.returncode) == ({}, 0)
    assert ("large", "converting") in site.stages
    assert f"{waited}\n" in told
    assert "converting\n" not in told and "converting" not in rest


def test_killed_harness_leaves_no_half_artifact(tmp_path: Path) -> None:
    site = Site(tmp_path, tiny=TINY)
    with start(site) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "making the model\n":
                process.kill()
    assert len(site.leftovers()) == 1
    built = site.build(project(large=VariantSpec(model="tiny")))
    assert site.ended() == {"large": "built"}
    assert site.leftovers() == []
    time.sleep(1.5)  # the orphan, if it still lived, would write again
    assert site.leftovers() == []
    assert Path(built.artifacts["large"].path).is_file()


# --- .keras files ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """good.keras, lambda.keras and open.keras, saved by Keras."""
    folder = tmp_path_factory.mktemp("keras")
    code = """
import keras
image = keras.Input((16, 16, 3), name="image")
pooled = keras.layers.GlobalAveragePooling2D()
good = keras.Model(image, keras.layers.Dense(2)(pooled(image / 255.0)))
good.save("good.keras")
good.export("served", verbose=False)
keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image)).save("lambda.keras")
wide = keras.Input((None, None, 1), name="image")
keras.Model(wide, keras.layers.GlobalAveragePooling2D()(wide)).save("open.keras")
"""
    in_keras.run(code, folder)
    (folder / "text.keras").write_text("not a model")
    shutil.make_archive(str(folder / "zip"), "zip", ROOT / "models")
    (folder / "zip.zip").rename(folder / "zip.keras")
    return folder


def convert(path: Path, cache: Path, recipe: str = "float32") -> Artifact:
    return build_keras_file(path, recipe=recipe, cache_dir=cache, representative=REPRESENTATIVE)


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_keras_file(keras_files: Path, tmp_path: Path, recipe: str) -> None:
    artifact = convert(keras_files / "good.keras", tmp_path, recipe)
    assert (artifact.variant, artifact.model, artifact.recipe) == ("good", None, recipe)
    assert artifact.trained is None  # nobody knows
    assert artifact.inputs[0].shape == (1, 16, 16, 3)


@pytest.mark.parametrize("name", ["good.keras", "served"])
def test_it_and_its_source_answer_the_same_pictures(
    keras_files: Path, tmp_path: Path, name: str
) -> None:
    (told,) = convert(keras_files / name, tmp_path).findings[-1:]
    assert told.code == "conversion-checked"
    assert "on 8 random inputs and 4 pictures the converted" in told.message
    assert "12 of 12 decisions are the same" in told.message


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.keras", "there is no file"),
        ("text.keras", "is not a .keras file"),
        ("zip.keras", "cannot be loaded"),
        ("lambda.keras", "no Lambda layers"),
        ("open.keras", "open shape"),
    ],
)
def test_bad_keras_file(keras_files: Path, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert(keras_files / name, tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keras_file_with_a_recipe_that_does_not_exist(keras_files: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe 'int4'"):
        convert(keras_files / "good.keras", tmp_path, "int4")


def test_weights_file_that_does_not_fit(tmp_path: Path) -> None:
    site = Site(tmp_path, tiny=TINY)
    (site.models / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    shutil.copy(ROOT / "models" / "scratch.py", site.models)
    spec = VariantSpec(model="scratch", options={"input_size": 64}, weights="x.h5")
    failure = site.build(project(bad=spec)).failures["bad"]
    assert "scratch.py" in failure.message and "\n" not in failure.message
    taking_none = TINY.replace("weights=None, ", "")
    (site.models / "tiny.py").write_text(taking_none)
    with pytest.raises(ConfigError, match="takes no weights"):
        site.build(project(bad=VariantSpec(model="tiny", weights="x.h5")))


def test_int8_mixed_is_made_of_the_float_file(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    site = Site(tmp_path, tiny=TINY)
    variants = project(
        tiny=VariantSpec(model="tiny"), mixed=VariantSpec(model="tiny", recipe="int8-mixed")
    )
    built = site.build(variants).artifacts
    assert (built["mixed"].recipe, built["mixed"].float_parent) == ("int8-mixed", "tiny")
    assert built["mixed"].model == "tiny"
    assert built["mixed"].inputs[0].dtype == "int8"
    assert any(finding.code == "kept-in-float" for finding in built["mixed"].findings)
    again = site.build(project(mixed=variants.variants["mixed"])).artifacts["mixed"]
    assert again.sha256 == built["mixed"].sha256
    # The float file was not made a second time.
    assert ("mixed", "converting") not in site.stages


def test_nothing_else_can_be_made_mixed(tmp_path: Path) -> None:
    site = Site(tmp_path, tiny=TINY)
    with pytest.raises(UsageError, match="nothing can come after int8"):
        site.build(project(mixed=VariantSpec(model="tiny", recipe="int8+int8-mixed")))
