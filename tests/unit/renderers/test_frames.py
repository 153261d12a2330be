"""Data frames: the same numbers, units in the names, absence as absence."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.renderers import frames
from harness.results import store
from tests import reports
from tests.lazily import Lazily

pd = Lazily("pandas")


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
    flat = [x for c in report.cases for x in c.launches]
    assert len(frame) == sum(len(x.latency_ns) + len(x.warmup_ns) for x in flat)
    assert (frame["latency_ns"].isna() != frame["warmup_ns"].isna()).all()
    for case in report.cases:
        mine = frame[frame["variant"] == case.variant]
        for launch in case.launches:
            own = mine[mine["launch"] == launch.index]
            assert tuple(own["latency_ns"].dropna()) == launch.latency_ns
            assert tuple(own["warmup_ns"].dropna()) == launch.warmup_ns
            assert list(own["iteration"]) == [
                *range(len(launch.warmup_ns)),
                *range(len(launch.latency_ns)),
            ]
            assert set(own["order"]) == {launch.order}


def test_counted_iterations_have_their_instructions() -> None:
    report = reports.counted()
    cases = [
        replace(c, launches=tuple(replace(x, instructions=(63, 64)) for x in c.launches))
        for c in report.cases
    ]
    frame = frames.observations(replace(report, cases=tuple(cases)))
    assert list(frame["instructions"].dropna()) == [63, 64] * len(cases)
    assert frame["latency_ns"].isna().all()


@pytest.mark.parametrize("name", reports.REPORTS)
def test_every_report_makes_frames(name: str) -> None:
    report = reports.REPORTS[name]()
    assert len(frames.frame(report)) == len(report.cases)
    assert len(frames.launches(report)) == sum(len(c.launches) for c in report.cases)
    frames.observations(report)


def test_types_do_not_depend_on_what_is_absent() -> None:
    """Nor on whether the report was read back, where whole numbers become real."""
    makers = (reports.normal(), reports.all_failed(), reports.empty(), reports.counted())
    every = [*makers, store.decode(store.encode(makers[0]), Path("x"))]
    for make in (frames.frame, frames.launches, frames.observations):
        types: dict[str, set[str]] = {}
        for report in every:
            for name, kind in make(report).dtypes.items():
                types.setdefault(str(name), set()).add(str(kind))
        assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


def test_what_is_absent_is_na_and_whole_numbers_stay_whole() -> None:
    frame = frames.launches(reports.normal())
    assert frame["pss_bytes"].isna().all()
    assert frame["init_ns"].dtype == "Int64"
    assert frame["pss_bytes"].dtype == "Int64"


def test_a_comparison_is_in_the_frame() -> None:
    frame = frames.frame(reports.compared())
    (pruned,) = frame[frame["variant"] == "pruned"].to_dict("records")
    assert pruned["latency_outcome"] == "regression"
    assert pruned["latency_ratio"] > 1.05
