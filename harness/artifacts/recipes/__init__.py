"""Recipes: how a Keras model becomes a .tflite file. One file per recipe, run in the TensorFlow
child.

A recipe module has `Options`, a struct of its options, and one or both of

- `prepare(model, options)`, which changes the Keras model, as pruning does. The module may also
  have a class `Change`, which changes the model step by step while it is trained (`after_batch`,
  `settled`), for `options.epochs` epochs at the share `options.rate` of the learning rate;
- `convert(model, representative, options)`, which makes the bytes, and `CALIBRATES`, which says
  whether `convert` reads representative data.

Recipes are joined by `+` and applied from left to right: `pruned+int8` prepares with `pruned` and
converts with `int8`. If no recipe of the chain converts, the model is converted as float32. The
recipe `int8-mixed` is not a module here: it is made from the finished float32 file
(`artifacts/quantize`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import msgspec

from harness.artifacts import quantize
from harness.core.errors import UsageError
from harness.core.text import place_and_expected
from harness.system import plugins

BASE = "float32"
_RECIPES = "harness.artifacts.recipes"


class Recipe(Protocol):
    """The shape of a recipe's `convert`."""

    def __call__(self, model: Any, representative: Iterable[Any], options: Any) -> bytes:
        """Keras model -> bytes of the .tflite file.

        `representative` can be iterated more than once and yields float32 arrays of shape
        (1, height, width, channels), pixel values 0 to 255; recipes without calibration ignore it.
        """


@dataclass(frozen=True)
class Step:
    """One recipe of a chain with its own options."""

    name: str
    module: ModuleType
    options: Any

    @property
    def prepares(self) -> bool:
        """Whether it changes the Keras model."""
        return hasattr(self.module, "prepare")


@dataclass(frozen=True)
class Chain:
    """Recipes in the order they are applied; only the last one converts. `afterwards` is the recipe
    that then changes the file without TensorFlow, if any."""

    steps: tuple[Step, ...]
    afterwards: str | None = None

    @property
    def calibrates(self) -> bool:
        """Whether the chain reads representative data, so that the artifact depends on them."""
        return any(getattr(step.module, "CALIBRATES", False) for step in self.steps)

    @property
    def options(self) -> dict[str, dict[str, object]]:
        """All options with their defaults, by recipe."""
        return {step.name: msgspec.to_builtins(step.options) for step in self.steps}

    @property
    def trainer(self) -> Step | None:
        """The recipe that changes the model while it is trained; None if there is none."""
        for step in self.steps:
            if hasattr(step.module, "Change") and step.options.epochs:
                return step
        return None

    def prepare(self, model: Any) -> None:
        """Apply every `prepare` of the chain to the Keras model, in place."""
        for step in self.steps:
            if step.prepares:
                step.module.prepare(model, step.options)

    def convert(self, model: Any, representative: Iterable[Any]) -> bytes:
        """The bytes of the .tflite file."""
        last = self.steps[-1]
        return bytes(last.module.convert(model, representative, last.options))


def parse(recipe: str, options: Mapping[str, object]) -> Chain:
    """`pruned+int8` and the options of both -> Chain.

    Raises UsageError for a recipe that does not exist, a chain that makes no sense, and an option
    that no recipe of the chain takes or that has the wrong type.
    """
    names = recipe.split("+")
    known = (*plugins.names(_RECIPES), *quantize.OF_VARIANTS)
    for name in names:
        if name not in known:
            raise plugins.unknown("recipe", name, known)
    afterwards = names.pop() if names[-1] in quantize.OF_VARIANTS else None
    modules = [plugins.load(_RECIPES, name) for name in names]
    if not modules or not hasattr(modules[-1], "convert"):
        names.append(BASE)
        modules.append(plugins.load(_RECIPES, BASE))
    for name, module in zip(names, modules, strict=True):
        last = module is modules[-1] and (afterwards is None or name == BASE)
        if hasattr(module, "convert") and not last:
            raise UsageError(
                f"recipe {recipe!r}: nothing can come after {name}, which makes the .tflite file",
                "put the recipe that converts last, as in pruned+int8",
            )

    fields = [set(module.Options.__struct_fields__) for module in modules]
    all_options = set().union(*fields)
    for option in options:
        if option not in all_options:
            raise plugins.unknown(f"option of recipe {recipe}:", option, all_options)
    steps = [
        Step(name, module, _convert(name, module, {k: options[k] for k in own & set(options)}))
        for name, module, own in zip(names, modules, fields, strict=True)
    ]
    return Chain(tuple(steps), afterwards)


def _convert(name: str, module: ModuleType, options: dict[str, object]) -> Any:
    try:
        return msgspec.convert(options, module.Options)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"options of recipe {name}: {place_and_expected(str(error))}",
            "correct recipe_options",
        ) from None
