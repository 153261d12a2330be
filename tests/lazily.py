"""Packages that few tests need and that are slow to import: each process of a test session imports
every test file, and so what these import at their top."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest


class Lazily:
    """The module `name`, imported when something of it is asked for. The file that makes this is
    skipped where the package is not installed."""

    def __init__(self, name: str) -> None:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            pytest.skip(f"{name} is not installed", allow_module_level=True)
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest asks so what it has found
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
