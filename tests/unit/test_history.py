"""Run folders over time: read quickly, broken ones named, changes found."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from harness import cli, history, store
from harness.core.types import Report
from harness.renderers import _history as renderer
from tests import reports


def save(out: Path, report: Report, day: int) -> Path:
    """A run folder as `bench` leaves it."""
    report = replace(
        report, run_id=f"202611{day:02d}-101500-abcd", started_at=f"2026-11-{day:02d}T10:15:00Z"
    )
    folder = out / report.run_id
    folder.mkdir(parents=True)
    (folder / store.HEADER).write_bytes(store.encode(report))
    (folder / store.REPORT).write_bytes(store.encode(report))
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs; scratch got slower with the thirteenth."""
    folder = tmp_path_factory.mktemp("runs")
    for day in range(1, 21):
        variants = dict(reports.VARIANTS)
        if day > 12:
            variants["scratch"] = variants["scratch"]._replace(latency=6_300_000)
        save(folder, reports.make(variants, seed=day, iterations=5), day)
    return folder


def main(*args: object) -> int:
    return cli.main([str(a) for a in args])


def test_runs_are_listed_oldest_first(out: Path) -> None:
    past = history.scan(out)
    assert [run.run_id[:8] for run in past.runs] == [f"202611{d:02d}" for d in range(1, 21)]
    assert past.skipped == ()
    assert past.runs[0].line.statuses == {"ok": 5}


def test_a_change_is_found_in_the_run_that_brought_it(out: Path) -> None:
    (slower,) = history.trends(history.scan(out), variant="scratch")
    assert [slower.points[c.at].run_id[:8] for c in slower.changes] == ["20261113"]
    assert slower.changes[0].ratio == pytest.approx(6.3 / 5.214, rel=0.05)
    (same,) = history.trends(history.scan(out), variant="vgg16")
    assert same.changes == ()


def test_sizes_have_no_noise(tmp_path: Path) -> None:
    for day in range(1, 4):
        variants = dict(reports.VARIANTS)
        if day == 3:
            variants["scratch"] = variants["scratch"]._replace(size=11_490_001)
        save(tmp_path, reports.make(variants, iterations=2), day)
    (found,) = history.trends(history.scan(tmp_path), variant="scratch", metric="size")
    assert [c.at for c in found.changes] == [2]


def test_machines_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    save(tmp_path, reports.make(iterations=2), 1)
    other = replace(reports.host(), identity="another machine")
    save(tmp_path, reports.make(iterations=2, devices=(other,)), 2)
    found = history.trends(history.scan(tmp_path), variant="scratch")
    assert [(t.identity, len(t.points)) for t in found] == [
        ("another machine", 1),
        ("host-identity", 1),
    ]


def test_cases_that_must_not_be_used_are_left_out(tmp_path: Path) -> None:
    save(tmp_path, reports.some_failed(), 1)
    names = {t.variant for t in history.trends(history.scan(tmp_path))}
    assert "mobilenet-int8" not in names  # invalid
    assert "scratch" not in names  # failed
    assert "vgg16" in names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a report|truncated"),
        (b'{"schema_version": 1, "run', "truncated"),
        (b"[]", "not a report"),
        (b'{"schema_version": 99, "run_id": "x", "started_at": ""}', "schema version 99"),
        (b'{"schema_version": 1, "run_id": 5, "started_at": ""}', "not a valid report"),
        (b"\xff\xfe", "not a report|malformed|invalid"),
    ],
)
def test_a_broken_run_is_named_and_skipped(tmp_path: Path, content: bytes, reason: str) -> None:
    save(tmp_path, reports.make(iterations=2), 1)
    broken = save(tmp_path, reports.make(iterations=2), 2)
    (broken / store.REPORT).write_bytes(content)
    past = history.scan(tmp_path)
    assert len(past.runs) == 1
    (skipped,) = past.skipped
    assert skipped.path == str(broken)
    assert any(word in skipped.reason.lower() for word in reason.split("|")), skipped.reason


def test_a_run_that_ended_early_says_how_to_go_on(tmp_path: Path) -> None:
    folder = save(tmp_path, reports.make(iterations=2), 1)
    (folder / store.REPORT).unlink()
    (skipped,) = history.scan(tmp_path).skipped
    assert skipped.reason == "ended early"
    assert skipped.mend.endswith(f"--resume {folder.name}")


def test_folders_that_are_no_runs_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "README.md").write_text("x")
    assert history.scan(tmp_path) == history.History(runs=())


def test_two_thousand_runs_are_read_in_seconds(tmp_path: Path) -> None:
    folder = save(tmp_path, reports.make(iterations=30), 1)
    data: dict[str, Any] = json.loads((folder / store.REPORT).read_bytes())
    for i in range(2000):
        data["run_id"] = f"run-{i:04d}"
        other = tmp_path / data["run_id"]
        other.mkdir()
        (other / store.HEADER).touch()
        (other / store.REPORT).write_text(json.dumps(data))
    start = time.perf_counter()
    found = history.trends(history.scan(tmp_path), variant="scratch")
    assert len(found[0].points) == 2001
    assert time.perf_counter() - start < 15  # 2 s on an idle machine


# --- what the user sees ----------------------------------------------------------------------


def test_the_command_lists_runs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("history", "--out", out) == 0
    text = capsys.readouterr().out
    assert "20261101-101500-abcd" in text
    assert "2026-11-20 10:15 UTC" in text


def test_the_command_shows_a_trend(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("history", "scratch", "--out", out) == 0
    text = capsys.readouterr().out
    assert "scratch on host, litert, cpu, 1 thread: latency" in text
    (line,) = [row for row in text.splitlines() if "◂" in row]
    assert line.startswith("20261113")
    assert "changed 1 time, last with 20261113-101500-abcd" in text


def test_an_unknown_variant_is_answered_with_the_nearest(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("history", "scrach", "--out", out) == 2
    assert "did you mean 'scratch'?" in capsys.readouterr().err


def test_an_unknown_metric_names_those_there_are(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("history", "scratch", "--metric", "sped", "--out", out) == 2
    assert "no run has the metric 'sped'" in capsys.readouterr().err


def test_the_page_has_a_chart_per_trend(out: Path, tmp_path: Path) -> None:
    page = tmp_path / "history.html"
    assert main("history", "--out", out, "--html", page) == 0
    text = page.read_text("utf-8")
    assert text.count("<svg") == 2 * 5  # for a wide screen and for a phone
    assert "scratch on host" in text
    assert "1 change." in text


def test_no_run_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("history", "--out", tmp_path) == 0
    assert "there is no run yet" in capsys.readouterr().out
    assert main("history", "--out", tmp_path / "missing") == 2


def test_hostile_names_are_inert(tmp_path: Path) -> None:
    save(tmp_path, reports.hostile(), 1)
    past = history.scan(tmp_path)
    trends = history.trends(past)
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=False, color_system=None)
    renderer.show_runs([run.line for run in past.runs], console)
    renderer.show_trends(trends, console)
    assert all(c.isprintable() or c == "\n" for c in stream.getvalue())
    page = renderer.page([run.line for run in past.runs], trends, past.skipped, "tool").decode()
    assert page.count("<script>") == 1
