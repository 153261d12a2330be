"""What can be known of a model file without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.sources import closure, read_model
from harness.core.errors import ConfigError

BUILD = "def build(*, weights=None, seed=0, alpha=1.0, filters=(1, 2), head=compute()): ...\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_siblings_belong_to_a_model(tmp_path: Path) -> None:
    write(
        tmp_path,
        mine="import keras, blocks\nfrom parts import tail\n",
        blocks="from shapes import *\n",
        shapes="import blocks\n",
        parts__tail="",
        other="",
    )
    digests = closure(tmp_path / "mine.py")
    assert list(digests) == ["blocks.py", "mine.py", "parts/tail.py", "shapes.py"]
    (tmp_path / "shapes.py").write_text("import blocks  # changed\n")
    changed = closure(tmp_path / "mine.py")
    assert {name for name in digests if digests[name] != changed[name]} == {"shapes.py"}


def test_defaults_and_options_make_one(tmp_path: Path) -> None:
    model = read_model(write(tmp_path, mine=BUILD), "mine")
    assert model.options({}) == {"alpha": 1.0, "filters": [1, 2]}
    assert model.options({"alpha": 1}) == model.options({"alpha": 1.0}) == model.options({})
    assert repr(model.options({"alpha": 1})["alpha"]) == "1.0"  # as URLs spell it
    assert model.options({"head": "gap"})["head"] == "gap"
    assert model.takes("weights") and not model.takes("depth")


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        (BUILD, {"alhpa": 1.0}, "did you mean 'alpha'?"),
        (BUILD, {"seed": 1}, "'seed' is not an option"),
        ("def build(:\n", {}, "mine.py, line 1: "),
        ("x = 'a\0b'\n", {}, "mine.py"),
        ("def make(): ...\n", {}, "no function named build"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, source: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_model(write(tmp_path, mine=source), "mine").options(options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_model_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model 'mnie'; did you mean 'mine'"):
        read_model(write(tmp_path, mine=BUILD, _hidden=BUILD), "mnie")


@pytest.mark.parametrize(
    "source", ["from other import build\n", "build = print\n", "def build(**options): ...\n"]
)
def test_a_build_that_says_nothing_takes_anything(tmp_path: Path, source: str) -> None:
    model = read_model(write(tmp_path, mine=source), "mine")
    assert model.options({"depth": 3}) == {"depth": 3}
    assert model.takes("weights")
