"""`bench --confirm`: each further session is a run folder of its own, with only what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from harness.results import store
from tests.e2e.test_bench_cli import TINY


def test_a_missed_budget_is_measured_again_before_the_gate_says_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["bench", str(TINY), "--quick", "--budget", "latency_p95<=1us"]
    assert cli.main([*words, "--confirm", "--json", "r.json"]) == 1
    report = store.read_report(tmp_path / "r.json")
    (finding,) = [f for f in report.findings if f.code == "confirmed"]
    folders = sorted(p for p in Path("reports").glob("2*") if p.name != report.run_id)
    assert 2 <= len(folders) <= 4
    assert all(folder.name in finding.message for folder in folders)
    again = store.read_report(folders[0])
    assert len(again.cases) == 1
    assert all(case.metrics["latency"].point for case in again.cases)
    said = capsys.readouterr().err
    assert "session 2: measuring again 1 case that failed a gate" in said
    assert f"session {len(folders) + 1}: " in said


def test_it_needs_a_gate(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", str(TINY), "--confirm"]) == 2
    assert "--confirm needs a gate" in capsys.readouterr().err
