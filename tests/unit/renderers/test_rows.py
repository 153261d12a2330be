"""The long form holds every raw observation: `--csv`, `--parquet` and the frame `long`."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from msgspec.structs import replace

from harness.core.types import (
    Conditions,
    Drawn,
    LatencySummary,
    Launch,
    Minute,
    OpTime,
    Report,
)
from harness.renderers import frames, rows
from harness.renderers.view import View
from harness.system import plugins
from tests import reports
from tests.lazily import Lazily

pd = Lazily("pandas")

# Numbers that no two fields share, so that each can be found again.
_STATE: dict[str, Any] = {
    "load_average": 0.625, "other_cpu_share": 0.03125, "frequency_khz": (1_111_001, 2_222_002),
    "limit_khz": (1_111_003, 2_222_004), "temperature_c": 41.5, "thermal_status": 3,
    "battery_percent": 87, "on_battery": True, "screen_on": False, "governor": "schedutil",
}  # fmt: skip
_SUMMARY = LatencySummary(
    count=51, median_ns=7_001, mean_ns=7_002, min_ns=7_003, max_ns=7_004, std_ns=7_005,
    p5_ns=7_006, p95_ns=7_007,
)  # fmt: skip
LAUNCH = Launch(
    case="x", index=3, order=17, started_at="2026-11-23T10:15:00Z", wall_ns=9_001, init_ns=9_002,
    first_inference_ns=9_003, init_cached_ns=9_901, first_inference_cached_ns=9_902,
    warmup_ns=(9_004, 9_005), latency_ns=(9_006, 9_007, 9_008),
    warmup_summary=_SUMMARY, latency_summary=_SUMMARY,
    op_times=(OpTime(name="conv1", op="CONV_2D", mean_ns=9_009, share=0.5),),
    minutes=(Minute(iterations=61, median_ns=9_010, mean_ns=9_011, temperature_c=43.25,
                    thermal_status=2),),
    drawn=(Drawn(source="battery", unit="mA", every_ns=9_025, idle_before=(9_026,),
                 idle_after=(9_027,), loaded=((9_028, 9_029), (9_030,)),
                 ns_per_inference=(9_031, 9_032)),),
    rss_before_load_bytes=9_012, rss_after_load_bytes=9_013, rss_warm_bytes=9_014,
    rss_end_bytes=9_015, peak_rss_bytes=9_016, rss_anon_bytes=9_017, rss_file_bytes=9_018,
    pss_bytes=9_019, arena_bytes=9_020, clock_resolution_ns=9_021,
    counters={"instructions_init": 9_022}, instructions=(9_023, 9_024),
    before=Conditions(**_STATE), after=Conditions(**{**_STATE, "temperature_c": 47.5}),
)  # fmt: skip

# What is no number that was observed of this launch.
NO_OBSERVATION = {
    "case", "index", "order", "started_at", "outputs", "reference", "parity", "absent", "notes",
    "set_aside",
}  # fmt: skip


def report() -> Report:
    made = reports.one_case()
    return replace(made, cases=(replace(made.cases[0], launches=(LAUNCH,)),))


def numbers(value: object) -> list[float]:
    """All numbers in a field of a launch."""
    if value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, tuple):
        return [n for v in value for n in numbers(v)]
    fields = type(value).__struct_fields__  # type: ignore[attr-defined]
    return [n for f in fields if f != "share" for n in numbers(getattr(value, f))]


def test_every_field_of_a_launch_has_its_rows() -> None:
    blocks = list(rows.observations(report()))
    values = [float(v) for block in blocks for v in block["value"]]
    for field in {*Launch.__struct_fields__} - NO_OBSERVATION:
        wanted = numbers(getattr(LAUNCH, field))
        assert wanted, f"give {field} a value in this test"
        for number in wanted:
            assert number in values, f"{field} {number}"


def test_what_a_summary_says_is_marked_as_a_summary() -> None:
    text = plugins.load("harness.renderers.formats", "csv").render(View(report())).decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    single = [line for line in lines if line["quantity"] == "latency"]
    assert [line["value"] for line in single] == ["9006", "9007", "9008"]
    summary = {x["detail"]: x["value"] for x in lines if x["quantity"] == "latency_summary"}
    assert summary == {
        "median": "7001", "mean": "7002", "min": "7003", "max": "7004", "std": "7005",
        "p5": "7006", "p95": "7007", "count": "51",
    }  # fmt: skip
    (op,) = [x for x in lines if x["quantity"] == "op"]
    assert (op["detail"], op["value"], op["unit"]) == ("CONV_2D conv1", "9009", "ns")
    cores = [x for x in lines if x["quantity"] == "frequency_before"]
    assert [(x["iteration"], x["value"], x["unit"]) for x in cores] == [
        ("0", "1111001", "kHz"), ("1", "2222002", "kHz"),
    ]  # fmt: skip
    (warm,) = [x for x in lines if x["quantity"] == "temperature_after"]
    assert (warm["value"], warm["unit"]) == ("47.5", "C")


def test_the_long_frame_and_parquet_hold_the_same() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    text = plugins.load("harness.renderers.formats", "csv").render(View(report())).decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    data = plugins.load("harness.renderers.formats", "parquet").render(View(report()))
    stored = parquet.read_table(io.BytesIO(data)).to_pylist()
    frame = frames.long(report()).to_dict("records")
    for name in ("quantity", "unit", "detail"):
        assert [x[name] for x in stored] == [x[name] for x in lines] == [x[name] for x in frame]
    told = [float(x["value"]) for x in lines]
    assert [x["value"] for x in stored] == told == [x["value"] for x in frame]


def test_a_phones_observations_have_its_summaries_in_columns_of_their_own() -> None:
    phone = reports.summarized()
    frame = frames.observations(phone)
    told = [x for c in phone.cases for x in c.launches if x.latency_summary]
    assert told
    medians = frame[frame["statistic"] == "median"]["latency_summary_ns"]
    assert list(medians) == [x.latency_summary.median_ns for x in told if x.latency_summary]
    assert frame["latency_ns"].isna().all()  # no summary gets into a mean of iterations
    host = frames.observations(reports.normal())
    assert "statistic" not in host.columns


def test_the_launches_have_memory_of_each_stage_and_conditions() -> None:
    (row,) = frames.launches(report()).to_dict("records")
    assert (row["rss_warm_bytes"], row["rss_end_bytes"]) == (9_014, 9_015)
    assert row["battery_percent_before"] == 87
    assert row["on_battery_before"] is True and row["screen_on_after"] is False
    assert row["governor_after"] == "schedutil"
    assert pd.isna(row["outlier"])
