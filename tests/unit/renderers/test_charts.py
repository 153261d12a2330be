"""What the charts draw, and what they say of what they do not draw."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from harness.core.types import Report
from harness.renderers.charts import HALF, NARROW, Chart, charts_of, pareto
from harness.renderers.svg import PAPER, Drawing, drawing
from harness.renderers.view import View
from tests import reports
from tests.lazily import Lazily

Lazily("matplotlib")


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    with drawing():
        yield


def chart(report: Report, key: str) -> Chart:
    return next(c for c in charts_of(View(report)) if c.key == key)


def draw(report: Report, key: str, width: int = HALF) -> Drawing:
    return chart(report, key).draw(PAPER, width)


def tips(drawn: Drawing) -> list[str]:
    return [t for tip in drawn.tips.values() for t in ([tip] if isinstance(tip, str) else tip)]


def written(drawn: Drawing) -> list[Any]:
    found: list[Any] = drawn.figure.findobj(match=lambda artist: hasattr(artist, "get_text"))
    return [t for t in found if t.get_text()]


def texts(drawn: Drawing) -> set[str]:
    return {t.get_text() for t in written(drawn)}


def main_axes(drawn: Drawing) -> Any:
    return drawn.figure.axes[0]


@pytest.fixture(scope="module")
def loaded() -> Report:
    return reports.loaded()


# --- who is drawn ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["pareto-1", "memory", "accuracy"])
def test_an_invalid_case_is_not_drawn(loaded: Report, key: str) -> None:
    """Its numbers are the best, and mean nothing."""
    told = tips(draw(loaded, key))
    assert told
    assert not any(t.startswith(("mobilenet-int8:", "mobilenet-int8 (host)")) for t in told)
    if key == "pareto-1":
        assert "Not drawn: 1 failed, invalid" in chart(loaded, key).caption


def test_a_chart_per_device(loaded: Report) -> None:
    for key, device in (("pareto-1", "host"), ("pareto-2", "pixel")):
        assert chart(loaded, key).title == f"Size against latency on {device}"
        assert len(tips(draw(loaded, key))) == {"host": 4, "pixel": 5}[device]


@pytest.mark.parametrize("key", ["confusion", "ops", "layers", "latency", "sustained"])
def test_what_is_too_much_is_said(key: str) -> None:
    report = reports.make({f"v{i:02d}": reports.VARIANTS["scratch"] for i in range(30)}, launches=1)
    minutes = reports.sustained().cases[0].launches[0].minutes
    ops = reports.summarized().cases[0].launches[0].op_times
    report = replace(
        report,
        cases=tuple(
            replace(
                c,
                launches=(replace(c.launches[0], op_times=ops, minutes=minutes),),
            )
            for c in report.cases
        ),
        evaluations=tuple(
            replace(reports.evaluated().evaluations[0], variant=a.variant) for a in report.artifacts
        ),
    )
    found = [c for c in charts_of(View(report)) if c.key.startswith(f"{key}-")]
    assert len(found) == 24
    assert found[0].note.startswith("The first 24 of 30")


def test_many_classes_are_told_by_their_confusions(loaded: Report) -> None:
    (many,) = (c for c in charts_of(View(loaded)) if "15 classes" in c.caption)
    assert "the 10 most confused of 98 pairs" in many.caption
    assert tips(many.draw(PAPER, NARROW))[0] == "class 01 taken for class 03: 3"


# --- budgets and the front -------------------------------------------------------------------


def lines_at(drawn: Drawing, value: float) -> list[Any]:
    """Lines across the whole chart at this place."""
    found = []
    for line in main_axes(drawn).lines:
        xs, ys = list(line.get_xdata()), list(line.get_ydata())
        if xs == [value, value] or ys == [value, value]:
            found.append(line)
    return found


def test_a_budget_on_the_tail_is_no_limit_on_the_median(loaded: Report) -> None:
    drawn = draw(loaded, "pareto-1")
    assert lines_at(drawn, 20.0)  # size<=20MB
    assert not lines_at(drawn, 6.0)  # latency_p95<=6ms
    assert "latency_p95<=6ms" in chart(loaded, "pareto-1").caption
    assert "latency_p95<=6ms" not in texts(drawn)


@pytest.mark.parametrize(
    "budget", ["latency_p95<=6ms", "gzip_size<=5MB", "peak_rss<=50MiB", "accuracy>=0.95"]
)
def test_a_budget_of_any_metric_marks_who_misses_it(budget: str) -> None:
    report = reports.with_verdict()
    assert report.verdict is not None
    (line,) = (b for b in report.verdict.budgets if b.metric == "latency_p95")
    line = replace(line, text=budget, metric=budget.split("<")[0].split(">")[0])
    report = replace(report, verdict=replace(report.verdict, budgets=(line,)))
    drawn = draw(report, "pareto")
    missing = [t.split(":")[0] for t in tips(drawn) if f"misses {budget}" in t]
    assert missing == ["vgg16"]
    assert [t.split(":")[0] for t in drawn.tips["missed"]] == ["vgg16"]
    paths = {c.get_gid(): c.get_paths()[0] for c in main_axes(drawn).collections if c.get_gid()}
    assert len(paths["missed"]) != len(paths["met"])  # another shape


@pytest.mark.parametrize("key", ["pareto-1", "pareto-2"])
def test_the_ringed_are_the_front_of_the_verdict(loaded: Report, key: str) -> None:
    assert loaded.verdict is not None
    own = loaded.verdict.devices[int(key[-1]) - 1]
    (rings,) = (c for c in main_axes(draw(loaded, key)).collections if c.get_gid() == "front")
    assert len(rings.get_offsets()) == len(own.pareto)
    names = View(loaded).names_on(own.device)
    for case in own.pareto:
        assert names[case] in chart(loaded, key).alt.partition("Nothing beats")[2]


def test_a_difference_within_the_interval_looks_alike() -> None:
    """Accuracies from 0.937 to 0.968 with intervals of 0.04 are about the same yellow."""
    cases = reports.normal().cases
    shade = pareto.Shade.of(cases)
    assert shade is not None
    widths = [m.ci_high - m.ci_low for c in cases if (m := c.metrics["accuracy"].estimate)]
    assert shade.high - shade.low >= 5 * min(widths)
    whole = _distance(shade.at(shade.low, PAPER), shade.at(shade.high, PAPER))
    assert _distance(shade.at(0.94, PAPER), shade.at(0.96, PAPER)) < whole / 5


def _distance(a: str, b: str) -> int:
    return sum(abs(int(a[k : k + 2], 16) - int(b[k : k + 2], 16)) for k in (1, 3, 5))


@pytest.mark.parametrize("width", [HALF, NARROW])
@pytest.mark.parametrize("name", ["with_verdict", "normal", "loaded", "hundred_cases", "hostile"])
def test_names_cover_nothing(name: str, width: int) -> None:
    report = reports.REPORTS[name]()
    for found in charts_of(View(report)):
        if not found.key.startswith("pareto"):
            continue
        ax = main_axes(found.draw(PAPER, width))
        names = [t for t in ax.texts if t.get_gid() == "name"]
        boxes = [t.get_window_extent() for t in names]
        others = [t.get_window_extent() for t in ax.texts if t.get_gid() == "limit"]
        assert names
        for a, b in itertools.combinations([*boxes, *others], 2):
            assert not a.overlaps(b), (name, [t.get_text() for t in names])
        for collection in ax.collections:
            for x, y in ax.transData.transform(collection.get_offsets()):
                assert not any(b.contains(x, y) for b in boxes)
        for line in ax.lines:
            if list(line.get_ydata()) == [0, 1]:  # a limit, from bottom to top
                at = ax.transData.transform((next(iter(line.get_xdata())), 1))[0]
                assert not any(b.x0 < at < b.x1 for b in boxes)


# --- memory and time -------------------------------------------------------------------------


def test_memory_of_known_and_unknown_parts(loaded: Report) -> None:
    drawn = draw(loaded, "memory")
    assert {"anonymous", "file-backed", "arena", "undivided", "PSS", "peak_rss<=50MiB"} <= texts(
        drawn
    )
    told = tips(drawn)
    assert any("arena 2.00 MiB" in t and "(host)" in t for t in told)
    assert any("PSS" in t and "(pixel)" in t and "anonymous" not in t for t in told)
    assert lines_at(drawn, 50.0)
    widths = {p.get_gid(): p.get_width() for p in main_axes(drawn).patches if p.get_gid()}
    assert all(width > 0 for width in widths.values())
    hatched = [p for p in main_axes(drawn).patches if p.get_hatch()]
    assert len(hatched) == 4  # the host's


def test_the_key_of_memory_names_only_what_is_drawn() -> None:
    drawn = texts(draw(reports.normal(), "memory"))
    assert {"anonymous", "file-backed"} <= drawn
    assert not {"arena", "undivided", "PSS"} & drawn
    phone = reports.loaded()
    phone = replace(phone, cases=tuple(c for c in phone.cases if c.device == "pixel"))
    drawn = texts(draw(phone, "memory"))
    assert {"undivided", "PSS"} <= drawn
    assert not {"anonymous", "file-backed", "arena"} & drawn


def test_heat_is_seen_on_the_timeline(loaded: Report) -> None:
    hot, cool = draw(loaded, "timeline-2"), draw(loaded, "timeline-1")
    launches = [x for c in loaded.cases if c.device == "pixel" for x in c.launches]
    throttled = sum(bool(x.after and x.after.thermal_status) for x in launches)
    assert throttled > 5
    assert sum(p.get_gid() == "throttled" for p in main_axes(hot).patches) == throttled
    assert f"throttled after {throttled} of the launches" in chart(loaded, "timeline-2").alt
    assert not [p for p in main_axes(cool).patches if p.get_gid() == "throttled"]
    assert hot.figure.axes[1].get_ylabel() == "°C"


def test_files_stand_in_the_order_of_the_table(loaded: Report) -> None:
    order = list(dict.fromkeys(r.case.variant for r in View(loaded).rows))
    names = [t.get_text() for t in main_axes(draw(loaded, "size")).get_yticklabels()]
    assert names == order
    for group in ("layers", "confusion"):
        assert [c.title for c in charts_of(View(loaded)) if c.group == group] == order


@pytest.mark.parametrize("width", [HALF, NARROW])
def test_text_is_never_small(loaded: Report, width: int) -> None:
    """Figures are shown at the size at which they are drawn."""
    for found in charts_of(View(loaded)):
        drawn = found.draw(PAPER, width)
        assert drawn.figure.get_size_inches()[0] * 72 == pytest.approx(width)
        assert min(t.get_fontsize() for t in written(drawn)) >= 12, found.key
