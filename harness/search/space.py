"""The space of a search: `search:` of models/variants.yaml, in a form that an optimizer can draw
from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from harness.artifacts import recipes
from harness.artifacts.sources import read_model
from harness.core.base import Value
from harness.core.errors import ConfigError, UsageError
from harness.core.search import Candidate
from harness.core.specs import SearchSpec, VariantsFile
from harness.core.text import place_and_expected
from harness.system.plugins import unknown

WHICH = "model"  # the parameter that chooses among several entries
RECIPE = "recipe"


class Suggests(Protocol):
    """The part of an Optuna trial that is used here."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """A whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of several values."""


class Range(Value, frozen=True, rename={"low": "from", "high": "to"}):
    """`{from: 96, to: 256, step: 32}`; whole numbers where all of it is."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(x, int) for x in (self.low, self.high, self.step or 1))


class Option(NamedTuple):
    """One option of an entry: the values it can have, in their order, or the range of them."""

    values: tuple[object, ...] = ()
    range: Range | None = None

    @property
    def combinations(self) -> float:
        """How many values there are; infinite for a range of numbers without a step."""
        r = self.range
        if r is None:
            return len(self.values)
        if not r.whole and r.step is None:
            return math.inf
        return math.floor((r.high - r.low) / (r.step or 1) + 1e-9) + 1

    def suggested(self, trial: Suggests, name: str) -> object:
        """A value, as the optimizer wants it. A value in a list is given by its position, so that
        neighbours in the list are neighbours for the optimizer too."""
        if self.range is None:
            if len(self.values) == 1:
                return self.values[0]
            return self.values[trial.suggest_int(name, 0, len(self.values) - 1)]
        r = self.range
        if r.whole:
            step = int(r.step or 1)
            return trial.suggest_int(name, int(r.low), int(r.high), step=step, log=r.log)
        return trial.suggest_float(name, float(r.low), float(r.high), step=r.step, log=r.log)


class Entry(NamedTuple):
    """One entry of `search:`. `takes` says which options of recipes each recipe has."""

    name: str
    spec: SearchSpec
    options: Mapping[str, Option]
    recipes: tuple[str, ...]
    recipe_options: Mapping[str, Option]
    takes: Mapping[str, frozenset[str]]

    @property
    def combinations(self) -> float:
        """How many candidates it has."""
        of_options = math.prod(option.combinations for option in self.options.values())
        return of_options * sum(
            math.prod(o.combinations for n, o in self.recipe_options.items() if n in self.takes[r])
            for r in self.recipes
        )

    def suggested(self, trial: Suggests) -> Candidate:
        """A candidate of it."""
        options = {n: o.suggested(trial, f"{self.name}.{n}") for n, o in self.options.items()}
        recipe = self.recipes[0]
        if len(self.recipes) > 1:
            recipe = trial.suggest_categorical(f"{self.name}.{RECIPE}", self.recipes)
        return Candidate(
            space=self.name,
            model=self.spec.model or self.name,
            recipe=recipe,
            options=options,
            recipe_options={
                n: o.suggested(trial, f"{self.name}.{RECIPE}.{n}")
                for n, o in self.recipe_options.items()
                if n in self.takes[recipe]
            },
            weights=self.spec.weights,
            training=self.spec.training,
        )


class Space:
    """All entries that are searched."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    @property
    def combinations(self) -> int | None:
        """How many candidates there are; None for infinitely many."""
        total = sum(entry.combinations for entry in self.entries.values())
        return None if math.isinf(total) else int(total)

    def suggested(self, trial: Suggests) -> Candidate:
        """One candidate. Mistakes in the space were found before, by `read_space`."""
        names = list(self.entries)
        name = names[0] if len(names) == 1 else trial.suggest_categorical(WHICH, names)
        return self.entries[name].suggested(trial)

    def shown(self, name: str, value: object) -> object:
        """The value of a parameter as variants.yaml has it."""
        entry, _, option = name.partition(".")
        known = self.entries.get(entry)
        if known is None:
            return value
        found = known.options.get(option) or known.recipe_options.get(
            option.removeprefix(f"{RECIPE}.")
        )
        if found is None or found.range is not None or not isinstance(value, int):
            return value
        return found.values[value] if value < len(found.values) else value


def read_space(project: VariantsFile, models_dir: Path, names: Iterable[str] = ()) -> Space:
    """The entries `names` of `search:`, else those with `default`, else all. Raises UsageError and
    ConfigError that name the entry and the option."""
    names = tuple(names)
    known = project.search
    for name in names:
        if name not in known:
            raise unknown("entry of search:", name, known)
    if not known:
        raise UsageError(
            "models/variants.yaml has no `search:`",
            "add one, such as `search: {my_model: {options: {filters: [[8, 16], [16, 32]]}}}`",
        )
    chosen = names or [n for n, spec in known.items() if spec.default] or list(known)
    return Space({name: _entry(name, known[name], models_dir) for name in chosen})


def _entry(name: str, spec: SearchSpec, models_dir: Path) -> Entry:
    where = f"search.{name}"
    try:
        model = read_model(models_dir.absolute(), spec.model or name)
        options = {n: _option(f"{where}.options.{n}", v) for n, v in spec.options.items()}
        model.options(dict.fromkeys(options))
        chain = (spec.recipe,) if isinstance(spec.recipe, str) else spec.recipe
        if not chain:
            raise ConfigError("recipe is an empty list", "name one, such as int8")
        takes = {r: _options_of(r) for r in chain}
    except UsageError as error:
        if error.message.startswith(where):
            raise
        raise type(error)(f"{where}: {error.message}", error.fix) from None
    some = {n: _option(f"{where}.recipe_options.{n}", v) for n, v in spec.recipe_options.items()}
    for option in some:
        if not any(option in taken for taken in takes.values()):
            every = sorted(frozenset().union(*takes.values()))
            mistyped = unknown(f"{where}.recipe_options: option", option, every)
            raise ConfigError(mistyped.message, mistyped.fix)
    return Entry(name, spec, options, tuple(dict.fromkeys(chain)), some, takes)


def _options_of(recipe: str) -> frozenset[str]:
    return frozenset(n for step in recipes.parse(recipe, {}).options.values() for n in step)


def _option(where: str, value: object) -> Option:
    if isinstance(value, list):
        if not value:
            raise ConfigError(f"{where} is an empty list", "give at least one value")
        return Option(values=tuple(value))
    if not isinstance(value, dict):
        return Option(values=(value,))
    try:
        found = msgspec.convert(value, Range)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where} is not a range: {place_and_expected(str(error))}",
            "write it like {from: 96, to: 256, step: 32}",
        ) from None
    if not found.low < found.high:
        fix = "exchange them" if found.low > found.high else f"write {found.low:g} alone"
        raise ConfigError(f"{where}: `from` {found.low:g} is not below `to` {found.high:g}", fix)
    if found.step is not None and not 0 < found.step <= found.high - found.low:
        raise ConfigError(
            f"{where}: a step of {found.step:g} does not fit between `from` and `to`",
            f"give one above 0 and at most {found.high - found.low:g}",
        )
    if found.log and (found.low <= 0 or found.step is not None):
        raise ConfigError(f"{where}: `log` needs a `from` above 0 and no `step`", "leave `log` out")
    return Option(range=found)
