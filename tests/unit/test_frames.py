"""Data frames: the same numbers, units in the names, absence as absence."""

from __future__ import annotations

import statistics

import pytest

from harness import frames
from tests import reports

pd = pytest.importorskip("pandas")


def test_a_case_per_row_with_units_in_the_names() -> None:
    report = reports.normal()
    frame = frames.frame(report)
    assert list(frame["variant"]) == [c.variant for c in report.cases]
    for name in ("size_bytes", "latency_ns", "latency_ci_low_ns", "latency_p90_ns", "accuracy"):
        assert frame[name].notna().all(), name
    point = report.cases[0].metrics["latency"].point
    assert frame.loc[0, "latency_ns"] == point


def test_a_launch_per_row() -> None:
    report = reports.normal()
    frame = frames.launches(report)
    assert len(frame) == sum(len(c.launches) for c in report.cases)
    first = report.cases[0].launches[0]
    assert frame.loc[0, "latency_median_ns"] == statistics.median(first.latency_ns)
    assert frame.loc[0, "peak_rss_bytes"] == first.peak_rss_bytes


def test_an_iteration_per_row() -> None:
    report = reports.normal()
    frame = frames.observations(report)
    latency = frame[frame["quantity"] == "latency"]
    assert len(latency) == sum(len(x.latency_ns) for c in report.cases for x in c.launches)
    assert set(latency["unit"]) == {"ns"}
    assert latency["value"].dtype == "int64"


@pytest.mark.parametrize("name", reports.REPORTS)
def test_every_report_makes_frames(name: str) -> None:
    report = reports.REPORTS[name]()
    assert len(frames.frame(report)) == len(report.cases)
    frames.launches(report)
    frames.observations(report)


def test_what_is_absent_is_na_and_whole_numbers_stay_whole() -> None:
    frame = frames.launches(reports.normal())
    assert frame["pss_bytes"].isna().all()
    assert frame["init_ns"].dtype == "int64"


def test_a_comparison_is_in_the_frame() -> None:
    frame = frames.frame(reports.compared())
    (pruned,) = frame[frame["variant"] == "pruned"].to_dict("records")
    assert pruned["latency_outcome"] == "regression"
    assert pruned["latency_ratio"] > 1.05
