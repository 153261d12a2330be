"""Reads Python files without running them: what siblings they import, what options `build` has."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import ConfigError
from harness.system import plugins

# Given to `build` by the harness, not by options.
RESERVED = ("weights", "seed")


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def closure(path: Path) -> dict[str, str]:
    """Digests of a Python file and of the siblings it imports, directly or not, by file name.

    A sibling counts as imported if its name occurs in any import statement, so the result may
    contain a file too many, but never too few. Raises ConfigError for a syntax error.
    """
    digests: dict[str, str] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(path.parent).as_posix()
        if name in digests:
            continue
        source = file.read_bytes()
        digests[name] = sha256(source)
        for word in _imported(parse(file, source)):
            package = path.parent / word
            waiting += [package.with_suffix(".py")] if package.with_suffix(".py").is_file() else []
            waiting += sorted(package.rglob("*.py")) if package.is_dir() else []
    return dict(sorted(digests.items()))


def parse(path: Path, source: bytes) -> ast.Module:
    """The syntax tree; a syntax error is a ConfigError with file and line."""
    try:
        return ast.parse(source, str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise ConfigError(f"{where}: {getattr(error, 'msg', error)}", "correct the file") from None


def _imported(tree: ast.Module) -> set[str]:
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            words |= {word for alias in node.names for word in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            words |= set((node.module or "").split(".")) | {alias.name for alias in node.names}
    return words - {"", "*"}


def _bound(tree: ast.Module) -> set[str]:
    """Names that the top level imports or assigns."""
    words = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            words |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            words |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return words


@dataclass(frozen=True)
class Model:
    """A file of models/ and the parameters of its function `build` (None: it takes any). `defaults`
    holds the options whose default is a literal."""

    path: Path
    parameters: frozenset[str] | None
    defaults: Mapping[str, object]

    def options(self, given: Mapping[str, object]) -> dict[str, object]:
        """`given` over the defaults; ConfigError for an option that `build` does not take."""
        for option in given:
            if option in RESERVED:
                raise ConfigError(
                    f"{option!r} is not an option of a model",
                    "write weights beside the options, and give the seed on the command line",
                )
            if self.parameters is not None and option not in self.parameters:
                known = self.parameters - set(RESERVED)
                error = plugins.unknown(f"option of {self.path}:", option, known)
                raise ConfigError(error.message, error.fix)
        merged = {k: v for k, v in self.defaults.items() if k not in RESERVED}
        for option, value in given.items():
            # YAML's `alpha: 1` is meant as the 1.0 that the model's default shows.
            meant_float = isinstance(self.defaults.get(option), float) and type(value) is int
            merged[option] = float(str(value)) if meant_float else value
        return merged

    def takes(self, parameter: str) -> bool:
        """Whether `build` has this parameter."""
        return self.parameters is None or parameter in self.parameters


def read_model(models_dir: Path, name: str) -> Model:
    """models/NAME.py. ConfigError if it is missing, is not valid Python, or has no `build`."""
    path = models_dir / f"{name}.py"
    if not path.is_file():
        known = [file.stem for file in models_dir.glob("*.py") if file.stem[0] != "_"]
        error = plugins.unknown("model", name, known)
        raise ConfigError(error.message, f"{error.fix} (looked in {models_dir})")
    tree = parse(path, path.read_bytes())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            return Model(path, *_parameters(node.args))
    if "build" in _bound(tree):
        return Model(path, None, {})  # not a plain function: the child will see what it takes
    raise ConfigError(
        f"{path} has no function named build",
        "a model file defines build(*, weights=None, seed=0, ...) and returns a Keras model",
    )


def _parameters(args: ast.arguments) -> tuple[frozenset[str] | None, dict[str, object]]:
    plain = [*args.posonlyargs, *args.args]
    pairs = list(zip(reversed(plain), reversed(args.defaults), strict=False))
    pairs += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
    defaults: dict[str, object] = {}
    for arg, default in pairs:
        try:
            value = ast.literal_eval(default)
        except ValueError:
            continue
        defaults[arg.arg] = list(value) if isinstance(value, tuple) else value
    names = None if args.kwarg else frozenset(a.arg for a in [*plain, *args.kwonlyargs])
    return names, defaults
