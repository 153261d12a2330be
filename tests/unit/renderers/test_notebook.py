"""The blocks of the how-to, run as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.results import store
from tests import reports
from tests.paths import ROOT

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

PAGE = ROOT / "docs/how-to/notebook.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_how_to_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = reports.normal()
    folder = tmp_path / "reports" / report.run_id
    folder.mkdir(parents=True)
    (folder / store.HEADER).write_bytes(store.encode(report))
    store.write_report(folder, report)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks():
        exec(block, names)
    assert names["report"].run_id == report.run_id
    assert len(names["cases"]) == len(report.cases)
    assert names["iterations"]["latency_ns"].dropna().gt(0).all()
    assert (tmp_path / "latency.svg").stat().st_size > 1000
