"""A search on the test split is impossible: its images would betray that they were read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.core.search import SearchReport, SearchRequest, Trial
from harness.project import preflight
from harness.results import searches
from harness.search import session
from harness.search.objective import WithoutTest
from harness.system.files import cache_dir
from harness.system.progress import Narrator
from tests.searches import BETRAYING, TINY, Betraying

VARIANTS = """
variants:
  tiny: {model: tiny}
search:
  tiny: {options: {units: [2, 4, 8]}, recipe: float32}
training:
  tiny: {epochs: 2, learning_rate: 0.02, batch_size: 16}
"""
DEVICES = "devices:\n  host: {kind: host}\n"


def test_a_trial_cannot_ask_for_it() -> None:
    view = WithoutTest(Betraying())
    assert len(view.arrays("validation")[1]) == 40
    for ask in (view.arrays, view.colours, view.fingerprint):
        with pytest.raises(PermissionError, match="test split"):
            ask("test")


@pytest.mark.slow
def test_no_trial_reads_it_and_the_finalists_open_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.py").write_text(TINY)
    (tmp_path / "models/variants.yaml").write_text(VARIANTS)
    (tmp_path / "devices.yaml").write_text(DEVICES)
    data = Betraying()
    monkeypatch.setattr(preflight, "labelled", lambda *_, **__: data)
    seen: list[int] = []

    def told(trial: Trial, report: SearchReport) -> None:
        assert trial.state == "done", trial.reason
        assert "test" not in data.read
        assert not _traces(cache_dir()) and not _traces(tmp_path / "out")
        (folder,) = (tmp_path / "out").iterdir()
        assert searches.read_final(folder) is None
        seen.append(trial.number)

    with Narrator() as narrator:
        asked = SearchRequest(spaces=(), project=str(tmp_path), trials=2, finalists=1)
        saved = session.begin(asked, narrator, out=tmp_path / "out", told=told)
    assert seen == [1, 2]
    assert data.read.count("test") >= 1  # by the finalists
    # Looking for traces finds them where there are any.
    np.save(tmp_path / "cache/images.npy", Betraying().arrays("test")[0])
    assert _traces(cache_dir()) == [tmp_path / "cache/images.npy"]
    final = saved.report.final
    assert final is not None and final == searches.read_final(saved.folder)
    assert saved.run is not None and {a.variant for a in saved.run.artifacts} == set(
        final.finalists
    )
    with Narrator() as narrator:
        opened = len(data.read)
        again = session.resume(saved.folder, narrator)
        assert again.report.final == final and data.read[opened:] == []
        with pytest.raises(Exception, match="must not go on searching"):
            session.resume(saved.folder, narrator, trials=5)


def _traces(folder: Path) -> list[Path]:
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.exists() else []
    return [p for p in files if BETRAYING in p.read_bytes()]
