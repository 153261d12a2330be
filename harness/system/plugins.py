"""Extensions are found by file name: `artifacts/recipes/int8.py` is the recipe `int8`.

A kind of extension is a package. Each module in it whose name does not start with an underscore
is a member. Members are imported only when asked for by name, so listing them costs nothing.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from harness.core.errors import UsageError
from harness.core.text import did_you_mean


@functools.cache
def names(package_name: str) -> tuple[str, ...]:
    """The members of a package such as "harness.artifacts.recipes", sorted. The folder is read
    once: a report of many cases asks for its checks for each of them."""
    # Not pkgutil, which imports inspect: a third of the time that --help takes.
    found: set[str] = set()
    for folder in map(Path, importlib.import_module(package_name).__path__):
        for path in folder.iterdir():
            if path.suffix == ".py" or (path / "__init__.py").is_file():
                found.add(path.stem)
    return tuple(sorted(name for name in found if name[0] != "_"))


def load(package_name: str, name: str) -> ModuleType:
    """Import one member; an unknown name is a UsageError that offers the nearest ones."""
    known = names(package_name)
    if name not in known:
        kind = package_name.rpartition(".")[2].removesuffix("s")
        raise unknown(kind, name, known)
    return importlib.import_module(f"{package_name}.{name}")


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """`unknown transport 'adb_tpc'; did you mean 'adb_tcp'?`"""
    return UsageError(f"unknown {what} {name!r}", did_you_mean(name, known))
