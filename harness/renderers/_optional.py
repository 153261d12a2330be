"""Packages that only some formats need."""

from __future__ import annotations

import importlib
from types import ModuleType

from harness.core.errors import UsageError


def require(module: str) -> ModuleType:
    """Import `module`, or say in one line which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise UsageError(
            f"this format needs the package {package}",
            "pip install 'mobile-bench-harness[report]'",
        ) from None
