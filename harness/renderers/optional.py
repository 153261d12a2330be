"""Packages that only some formats need."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType

from harness.core.errors import UsageError


def require(module: str) -> ModuleType:
    """Import `module`, or raise UsageError with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise _missing(package) from None


def check(packages: Iterable[str]) -> None:
    """Raise what `require` would raise for the first missing package, without importing any."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise _missing(package)


def _missing(package: str) -> UsageError:
    return UsageError(
        f"this format needs the package {package}", "pip install 'mobile-bench-harness[report]'"
    )
