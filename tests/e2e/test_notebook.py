"""The notebook in examples/ runs from top to bottom, and each part of a report shows itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow
NOTEBOOK = ROOT / "examples/which_model.ipynb"
WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@WARNINGS
def test_the_notebook_runs_and_shows_tables_and_a_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # The notebook names files beside its own folder, and writes reports/ into it.
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "examples").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "examples")}},
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [html for html in map(html_of, shown) if html and "tiny_int8" in html]
    assert len(tables) >= 2
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any("no change" in (html_of(output) or "") for output in shown)


def html_of(output: Any) -> str | None:
    found: str | None = output.get("data", {}).get("text/html")
    return found


def test_it_is_kept_without_outputs() -> None:
    """They would be of an older version, and of one machine."""
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)
