"""The same numbers in every format, read back from what is written."""

from __future__ import annotations

import csv
import io

import pytest

from harness.core.types import CaseReport
from harness.renderers import metrics
from harness.renderers.view import View
from harness.system import plugins
from tests.lazily import Lazily
from tests.pages import made
from tests.readers import READERS, Told

Lazily("pandas")

FRAMES = {"frame", "launches", "observations"}
# Statuses of every kind, intervals and none, verdicts and comparisons, a phone's summaries.
AMONG = ["with_verdict", "some_failed", "compared", "no_intervals", "fixed"]


def test_every_format_has_a_reader() -> None:
    assert READERS.keys() == {*plugins.names("harness.renderers.formats"), *FRAMES}


@pytest.mark.parametrize("which", AMONG)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n == "html" else []) for n in READERS]
)
def test_a_format_tells_the_numbers_of_the_report(name: str, which: str) -> None:
    report, reader = made(which), READERS[name]
    rows = reader.read(report)
    # What is made from observations has nothing of a case without launches.
    of_launches = name in ("csv", "launches", "observations", "trace")
    for case in [c for c in report.cases if c.launches] if of_launches else report.cases:
        row = rows[case.variant]
        if case.status in reader.statuses:
            assert row.status == case.status
        if case.status in reader.omits:
            assert not row.told
            continue
        for metric in reader.points:
            told = row.told.get(metric)
            found = metrics.measured(case, metric)
            if found is None or found.point is None:
                assert told is None, f"{metric} is absent"
                continue
            assert told is not None, f"{metric} of {case.variant} is not told"
            assert abs(told.point.value - found.point) <= told.point.slack, metric
            if metric in reader.intervals:
                assert_interval(told, case, metric)
            if metric in reader.n and found.estimate is not None and found.confidence:
                assert told.n == found.n, metric


def assert_interval(told: Told, case: CaseReport, metric: str) -> None:
    """The interval where there is one, and nothing that looks like one where there is none."""
    m = case.metrics[metric]
    if m.point is None or m.ci_low is None or m.ci_high is None:
        assert (told.low, told.high, told.half) == (None, None, None), metric
        return
    if told.half is None:
        assert (told.low, told.high) == (m.ci_low, m.ci_high), metric
        return
    half = (m.ci_high - m.ci_low) / 2 / (1 if m.unit == "1" else m.point)
    assert abs(told.half.value - half) <= told.half.slack, metric


def test_observations_are_the_launches() -> None:
    """Every single one, in order, in the long form."""
    report = made("with_verdict")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = {
        n: plugins.load("harness.renderers.formats", n).render(View(report))
        for n in ("csv", "parquet")
    }
    long = list(csv.DictReader(io.StringIO(data["csv"].decode(), newline="")))
    for case in report.cases:
        mine = [r for r in long if r["variant"] == case.variant and r["quantity"] == "latency"]
        expected = [ns for launch in case.launches for ns in launch.latency_ns]
        assert [int(r["value"]) for r in mine] == expected
    table = parquet.read_table(io.BytesIO(data["parquet"]))
    assert table.column("value").to_pylist() == [float(r["value"]) for r in long]
