"""The board of a history: the newest value of each variant on each device, and its last change."""

from __future__ import annotations

from harness.renderers import history
from harness.renderers.board import board
from harness.stats import trend
from harness.stats.trend import Point, Trend


def series(variant: str, device: str, *values: float, identity: str = "") -> Trend:
    points = tuple(
        Point(run_id=f"r{i}", started_at=f"2026-11-{i + 1:02d}T10:00:00Z", value=v * 1e6)
        for i, v in enumerate(values)
    )
    return Trend(
        variant=variant,
        device=device,
        identity=identity,
        setting="litert, cpu, 1 thread",
        metric="latency",
        unit="ns",
        points=points,
        changes=trend.changes([p.value for p in points]),
    )


SLOWER = [5.0, 5.1, 5.0, 5.05, 5.1, 5.02, 7.0, 7.1, 7.05, 7.02, 7.1, 7.0]


def test_a_row_per_variant_and_a_column_per_device() -> None:
    told = board([series("a", "host", 5), series("b", "pixel", 6, 7)], {1: "trend-0"})
    assert [head["device"] for head in told["heads"]] == ["host", "pixel"]
    first, second = told["lines"]
    assert (first["variant"], second["variant"]) == ("a", "b")
    assert first["cells"][1] is None
    assert first["cells"][0]["value"] == "5.00 ms"
    assert second["cells"][1]["value"] == "7.00 ms"
    assert second["cells"][1]["when"] == "2026-11-02"
    assert (first["cells"][0]["anchor"], second["cells"][1]["anchor"]) == ("", "trend-0")


def test_the_last_change_is_marked_with_its_size_and_whether_it_is_for_the_worse() -> None:
    told = board([series("a", "host", *SLOWER), series("b", "host", *reversed(SLOWER))], {})
    (worse,), (better,) = (line["cells"] for line in told["lines"])
    assert (worse["kind"], worse["changed"]) == ("regression", "1.40x")
    assert (better["kind"], better["changed"]) == ("improvement", "0.72x")
    assert "12 runs, 1.40x since 2026-11-07" in worse["told"]


def test_machines_of_one_name_have_columns_of_their_own() -> None:
    told = board(
        [series("a", "pixel", 5, identity="A1"), series("a", "pixel", 9, identity="B2")], {}
    )
    assert [head["about"] for head in told["heads"]] == [
        "litert, cpu, 1 thread, A1",
        "litert, cpu, 1 thread, B2",
    ]
    (line,) = told["lines"]
    assert [cell["value"] for cell in line["cells"]] == ["5.00 ms", "9.00 ms"]


def test_noise_of_a_per_cent_is_a_flat_line() -> None:
    (line,) = board([series("a", "host", 100, 101, 100, 99)], {})["lines"]
    ys = [float(p.split(",")[1]) for p in line["cells"][0]["course"][1:].split("L")]
    assert max(ys) - min(ys) < 5


def test_of_long_trends_only_the_first_are_drawn_those_with_a_change_before_others() -> None:
    long = [series(f"v{i}", "host", *([5.0, 5.1] * 300)) for i in range(8)]
    changed = series("changed", "host", *SLOWER)
    chosen = history._chosen([*long, changed])
    assert 8 in chosen
    assert len(chosen) == 6
    short = [series(f"v{i}", "host", 5, 6) for i in range(60)]
    assert len(history._chosen(short)) == history.MOST_CHARTS
