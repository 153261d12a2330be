"""Run folders over time: read quickly, broken ones named, changes found."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from harness import cli
from harness.core.errors import UsageError
from harness.core.types import Measurement, Report
from harness.renderers import history as renderer
from harness.results import history, store
from tests import reports
from tests.paths import ROOT


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


def test_accuracy_on_other_test_images_is_another_trend(tmp_path: Path) -> None:
    for day, images in enumerate(("aaaa0000", "aaaa0000", "bbbb1111"), 1):
        report = reports.loaded()
        assert report.data is not None
        data = replace(report.data, name="bricks", fingerprints={"test": f"f00d{images}"})
        save(tmp_path, replace(report, data=data), day)
    past = history.scan(tmp_path)
    variant = past.runs[0].cases[0].variant
    found = history.trends(past, variant=variant, device="host", metric="accuracy")
    said = [(t.setting.partition(" thread")[2], len(t.points)) for t in found]
    assert said == [(", bricks (aaaa0000)", 2), (", bricks (bbbb1111)", 1)]
    (of_size,) = history.trends(past, variant=variant, device="host", metric="size")
    assert len(of_size.points) == 3


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
    assert skipped.fix.endswith(f"--resume {folder}")


def test_folders_that_are_no_runs_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "README.md").write_text("x")
    assert history.scan(tmp_path) == history.History(runs=())


def test_nothing_of_the_launches_is_decoded(tmp_path: Path) -> None:
    """What makes thousands of runs quick (benchmarks/report.py measures it): launches are skipped
    unread, whatever they hold."""
    folder = save(tmp_path, reports.make(iterations=2), 1)
    data: dict[str, Any] = json.loads((folder / store.REPORT).read_bytes())
    for case in data["cases"]:
        case["launches"] = [{"of": "another", "schema": 5}] * 3
    (folder / store.REPORT).write_text(json.dumps(data))
    past = history.scan(tmp_path)
    assert past.skipped == ()
    assert len(history.trends(past)) == 5


def test_a_report_without_its_header_is_a_run_all_the_same(tmp_path: Path) -> None:
    folder = save(tmp_path, reports.make(iterations=2), 1)
    (folder / store.HEADER).unlink()
    assert len(history.scan(tmp_path).runs) == 1
    assert store.find("latest", tmp_path) == folder


@pytest.mark.parametrize("depth", [2_000, 200_000])
def test_deep_nesting_is_no_traceback(tmp_path: Path, depth: int) -> None:
    save(tmp_path, reports.make(iterations=2), 1)
    deep = save(tmp_path, reports.make(iterations=2), 2)
    (deep / store.REPORT).write_text('{"x": ' + "[" * depth + "]" * depth + "}")
    past = history.scan(tmp_path)
    assert len(past.runs) == 1
    assert [s.path for s in past.skipped] == [str(deep)]
    with pytest.raises(UsageError, match="is not a report"):
        store.read_report(deep)
    (deep / store.JOURNAL).write_text('{"launch": ' + "[" * depth + "\n")
    with pytest.raises(UsageError, match="line 1, is damaged"):
        store.read_journal(deep / store.JOURNAL)


def test_a_folder_that_may_not_be_read_is_named_and_skipped(tmp_path: Path) -> None:
    """As a user without rights, which the superuser never is: in a process of its own."""
    save(tmp_path, reports.make(iterations=2), 1)
    closed = save(tmp_path, reports.make(iterations=2), 2)
    for path in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    closed.chmod(0)
    code = (
        "import os, sys\n"
        "from harness.results import history\n"
        "from pathlib import Path\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "past = history.scan(Path(sys.argv[1]))\n"
        "print(len(past.runs), *[s.path + '|' + s.reason for s in past.skipped])\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        closed.chmod(0o755)
    assert done.stdout.strip() == f"1 {closed}|Permission denied", done.stderr


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


def test_a_metric_or_a_device_alone_shows_the_trends_of_every_variant(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("history", "--metric", "size", "--out", out) == 0
    text = capsys.readouterr().out
    assert "scratch on host, litert, cpu, 1 thread: size" in text and "vgg16 on host" in text
    assert main("history", "--device", "host", "--out", out) == 0
    assert "scratch on host, litert, cpu, 1 thread: latency" in capsys.readouterr().out
    assert main("history", "--metric", "sped", "--out", out) == 2
    assert "no run has the metric 'sped'" in capsys.readouterr().err


def test_where_nothing_is_saved_the_advice_is_to_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("history", "--metric", "sped", "--out", tmp_path) == 2
    assert capsys.readouterr().err == (
        "error: there is no saved run with a case; measure something: python -m harness bench\n"
    )


def counted(folder: Path, *counts: int) -> None:
    """A run per count, of one variant on an emulated core."""
    for day, count in enumerate(counts, 1):
        report = reports.counted()
        case = replace(
            report.cases[0],
            metrics={"instructions": Measurement(unit="count", point=count, n=1)},
        )
        save(folder, replace(report, cases=(case,)), day)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((100_000, 100_000), "the same in all 2 runs"),
        ((100_000,), "a single run, and nothing to compare with"),
        ((100_000, 100_300), "changed 1 time, last with 20261102-101500-abcd: 100,000 to 100,300 "
         "(1.00300x)"),
    ],
)  # fmt: skip
def test_of_exact_counts_nothing_is_left_to_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], counts: tuple[int, ...], said: str
) -> None:
    counted(tmp_path, *counts)
    page = tmp_path / "page.html"
    assert main("history", "--metric", "instructions", "--out", tmp_path, "--html", page) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert said in text and "chance" not in text
    html = page.read_text("utf-8")
    assert "every difference is a change" in html and "chance" not in html


def test_an_unknown_metric_names_those_there_are(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("history", "scratch", "--metric", "sped", "--out", out) == 2
    assert "no run has the metric 'sped'" in capsys.readouterr().err


def test_the_page_has_a_chart_per_trend(out: Path, tmp_path: Path) -> None:
    page = tmp_path / "history.html"
    assert main("history", "--out", out, "--html", page) == 0
    text = page.read_text("utf-8")
    assert text.count('class="plot scroll') == 2 * 5  # for a wide screen and for a phone
    assert "scratch on host" in text
    assert "1 change." in text


def test_trends_are_drawn_into_files(out: Path, tmp_path: Path) -> None:
    charts = tmp_path / "new/charts"
    asked = ("--plots", charts, "--plots-format", "svg,png")
    assert main("history", "scratch", "--out", out, *asked) == 0
    assert sorted(p.name for p in charts.iterdir()) == ["trend-0.png", "trend-0.svg"]
    assert b"scratch on host" in (charts / "trend-0.svg").read_bytes()


@pytest.mark.long
def test_a_page_of_very_many_trends_draws_those_that_changed(tmp_path: Path) -> None:
    shape = reports.VARIANTS["scratch"]
    for day in range(1, 4):
        names = [f"v{i:02d}" for i in range(renderer.MOST_CHARTS + 5)]
        variants = dict.fromkeys(names, shape)
        if day == 3:
            variants[names[-1]] = shape._replace(size=shape.size + 1)
        save(tmp_path, reports.make(variants, iterations=1, launches=1), day)
    page = tmp_path / "history.html"
    assert main("history", "--metric", "size", "--out", tmp_path, "--html", page) == 0
    text = page.read_text("utf-8")
    assert text.count('class="plot scroll') == 2 * renderer.MOST_CHARTS
    assert "5 more trends are not drawn" in text
    assert "The numbers of v44 on host" in text
    assert "The numbers of v43 on host" not in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--html", "gone/x.html"), "name a file in a folder that exists"),
        (("--plots", "file/charts"), "choose another folder with --plots"),
        (("--plots-format", "png"), "name a folder with --plots"),
        (("--plots", "x", "--plots-format", "jpeg"), "unknown format of plots 'jpeg'"),
    ],
)
def test_wrong_options_are_found_before_anything_is_read(
    options: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main("history", "--out", "no-such-folder", *options) == 2
    assert says in capsys.readouterr().err


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
