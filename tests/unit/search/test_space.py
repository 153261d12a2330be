"""`search:` of models/variants.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.artifacts import recipes
from harness.core.errors import HarnessError
from harness.core.specs import SearchSpec, VariantsFile
from harness.project.config import SHIPPED, load_project
from harness.search.space import read_space
from tests.searches import space


class First:
    """Chooses the first or the last of everything."""

    def __init__(self, last: bool = False) -> None:
        self.last, self.asked = last, {}  # type: ignore[var-annotated]

    def suggest_int(self, name: str, low: int, high: int, **more: Any) -> int:
        self.asked[name] = (low, high)
        return high if self.last else low

    def suggest_float(self, name: str, low: float, high: float, **more: Any) -> float:
        self.asked[name] = (low, high)
        return high if self.last else low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = tuple(choices)
        return choices[-1 if self.last else 0]


def test_values_lists_and_ranges(tmp_path: Path) -> None:
    of = space(tmp_path, {"width": {"from": 8, "to": 32, "step": 8}, "depth": [[1, 2], None]})
    assert of.combinations == 4 * 2
    last = of.suggested(First(last=True))
    assert last.options == {"width": 32, "depth": None}
    assert of.suggested(First()).options == {"width": 8, "depth": [1, 2]}
    assert of.shown("wide.depth", 0) == [1, 2]


def test_options_of_recipes_go_with_the_recipes_that_have_them(tmp_path: Path) -> None:
    of = space(
        tmp_path,
        {"depth": 2},
        recipe=("int8", "pruned+int8"),
        recipe_options={"sparsity": {"from": 0.5, "to": 0.9, "step": 0.1}},
    )
    assert of.combinations == 1 + 5
    assert of.suggested(First()).recipe_options == {}
    pruned = of.suggested(First(last=True))
    assert (pruned.recipe, pruned.recipe_options) == ("pruned+int8", {"sparsity": 0.9})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widht": 3}, "search.wide: unknown option of"),
        ({"width": []}, "search.wide.options.width is an empty list"),
        ({"width": {"from": 9, "to": 3}}, "`from` 9 is not below `to` 3; exchange"),
        ({"width": {"from": 9, "to": 9}}, "write 9 alone"),
        ({"width": {"low": 9, "to": 3}}, "search.wide.options.width is not a range"),
        (
            {"width": {"from": "a", "to": 3}},
            "is not a range: from: expected a whole number or a number, but found text",
        ),
        ({"width": {"from": 1, "to": 3, "step": 7}}, "a step of 7 does not fit"),
        ({"width": {"from": 0, "to": 3, "log": True}}, "`log` needs a `from` above 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        space(tmp_path, options)
    assert caught.value.fix
    assert said in f"{caught.value.message}; {caught.value.fix}"


def test_a_recipe_and_an_entry_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"unknown recipe 'int9'"):
        space(tmp_path, recipe="int9")
    with pytest.raises(HarnessError, match=r"recipe_options: option 'sparsty'"):
        space(tmp_path, recipe="pruned", recipe_options={"sparsty": 0.5})
    with pytest.raises(HarnessError, match=r"unknown entry of search: 'x'"):
        file = VariantsFile(variants={}, search={"wide": SearchSpec()})
        read_space(file, tmp_path / "models", ["x"])
    with pytest.raises(HarnessError, match=r"has no `search:`"):
        read_space(VariantsFile(variants={}), tmp_path / "models")


def test_every_model_of_the_project_has_a_space_that_can_be_asked() -> None:
    project = load_project(SHIPPED)
    models = {path.stem for path in project.models_dir.glob("*.py") if path.stem[0] != "_"}
    assert {spec.model or name for name, spec in project.variants.search.items()} == models
    for name in project.variants.search:
        of = read_space(project.variants, project.models_dir, [name])
        assert (of.combinations or 0) > 1
        for chooser in (First(), First(last=True)):
            candidate = of.suggested(chooser)
            recipes.parse(candidate.recipe, candidate.recipe_options)


def test_by_default_the_marked_ones_are_searched() -> None:
    project = load_project(SHIPPED)
    marked = [name for name, spec in project.variants.search.items() if spec.default]
    found = read_space(project.variants, project.models_dir)
    assert list(found.entries) == marked != list(project.variants.search)
