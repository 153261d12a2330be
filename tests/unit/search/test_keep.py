"""A variant is added to models/variants.yaml as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.specs import TrainingSpec, VariantSpec
from harness.project.config import SHIPPED, VARIANTS, load_project
from harness.search import keep

SPEC = VariantSpec(
    model="scratch",
    recipe="pruned+int8",
    options={"cut": None, "filters": [8, 16], "name": "no"},
    recipe_options={"sparsity": 0.8},
    training=TrainingSpec(epochs=3, teacher=("lite0",)),
)


def test_every_line_and_comment_stays_and_the_variant_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / VARIANTS
    path.parent.mkdir()
    before = (SHIPPED / VARIANTS).read_text(encoding="utf-8")
    path.write_text(before, encoding="utf-8")
    keep.add(path, "found", SPEC, "Found by a search.")
    after = path.read_text(encoding="utf-8").splitlines()
    new = [n for n, line in enumerate(after) if "Found by a search" in line or "found:" in line]
    assert [line for line in before.splitlines() if line not in after] == []
    assert after[new[0]] == "  # Found by a search." and after[new[1]] == "  found:"
    project = load_project(tmp_path)
    assert project.variants.variants["found"] == SPEC
    known = load_project(SHIPPED).variants.variants
    assert {k: v for k, v in project.variants.variants.items() if k != "found"} == known


@pytest.mark.parametrize(
    "text",
    [
        "variants:\n  a: {model: x}",
        "variants:\n    a:\n        model: x   # last\n# the end\n",
        "# top\r\nvariants:\r\n  a:\r\n    model: x\r\n\r\ntraining:\r\n  x: {epochs: 1}\r\n",
        "training: {}\nvariants:\n  a:\n    options:\n      f: [1,\n        2]\n    model: x\n",
    ],
)
def test_other_layouts(text: str) -> None:
    changed = keep.added(text, "b", VariantSpec(model="x"), "why")
    rest = iter(changed.splitlines())
    assert all(line in rest for line in text.splitlines())  # all of it, in order
    assert ("\r\n" in text) == ("\r\n" in changed)


@pytest.mark.parametrize("text", ["variants: {a: {model: x}}\n", "variants: {}\n", "- 1\n"])
def test_what_cannot_be_added_to_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="no list of variants"):
        keep.added(text, "b", VariantSpec(model="x"), "why")


def test_names() -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        keep.check_name("a b", {})
    with pytest.raises(UsageError, match="already"):
        keep.check_name("a", {"a": SPEC})
    keep.check_name("lite0-small.2", {"a": SPEC})
