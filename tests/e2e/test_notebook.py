"""The notebook in examples/ as it is kept; tests/e2e/test_wheel.py runs it."""

from __future__ import annotations

import pytest

from tests.paths import ROOT

NOTEBOOK = ROOT / "examples/which_model.ipynb"


def test_it_is_kept_without_outputs() -> None:
    """They would be of an older version, and of one machine."""
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)
