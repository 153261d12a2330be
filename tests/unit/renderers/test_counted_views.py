"""What a reader is told of counts: what changed in the gate's table, what is absent and why, what
a budget on something else means, how the core is named."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from harness.analysis import gate, metric_specs
from harness.analysis.verdict import judge
from harness.core.errors import UsageError
from harness.core.types import (
    Artifact,
    CaseReport,
    DeviceFacts,
    Measurement,
    MetricComparison,
    Plan,
    Report,
)
from harness.renderers import charts, svg
from harness.renderers.charts import trends as trend_charts
from harness.renderers.formats import terminal
from harness.renderers.svg import PAPER, Theme
from harness.renderers.view import View
from harness.stats.trend import Point, Trend
from harness.system import plugins
from tests.fakes import artifact
from tests.strategies import case_report, device, evidence, launch, report

NOT_TIME = "emulated core: instructions are not time"
ARM = device(
    name="arm64",
    kind="arm64-emulated",
    identity="cortex-a76, emulated",
    model="cortex-a76, emulated by qemu 7.2.22",
    os="Linux, emulated in user mode",
    abi="arm64-v8a",
    cpu="cortex-a76",
    cores=1,
    emulated=True,
    extra={"kernels": "NEON, fp16, int8 dot product", "phones": "big cores: Snapdragon 855"},
)


def shown(made: Report, width: int = 120) -> str:
    """The report as text, on one line, so that it does not matter where a sentence is broken."""
    return " ".join(lines(made, width))


def lines(made: Report, width: int = 120) -> list[str]:
    console = terminal.plain_console(out := io.StringIO())
    console.width = width
    terminal.render_to(View(made), console)
    return [line.strip() for line in out.getvalue().splitlines()]


def page(made: Report, name: str) -> str:
    data: bytes = plugins.load("harness.renderers.formats", name).render(View(made))
    return data.decode()


def counts(
    instructions: float | None, macs: int | None = 174_139_964, **known: Measurement
) -> dict[str, Measurement]:
    """What the emulated core tells of a case."""
    absent = Measurement(unit="ns", point=None, absent_because=NOT_TIME)
    told = {
        "size": Measurement(unit="bytes", point=2_916_000, n=1),
        "latency": absent,
        "init": absent,
        "instructions": Measurement(unit="count", point=instructions, n=1),
    }
    if instructions and macs:
        told["instructions_per_mac"] = Measurement(unit="1", point=instructions / macs, n=1)
    return told | known


def case(metrics: dict[str, Measurement], variant: str = "m", on: str = "arm64") -> CaseReport:
    count = metrics["instructions"].point if "instructions" in metrics else None
    observed = launch(0, [], counters={"instructions": int(count)} if count else {})
    return case_report([observed], variant=variant, device=on, metrics=metrics)


def run(
    *cases: CaseReport,
    macs: int | None = 174_139_964,
    devices: Sequence[DeviceFacts] = (ARM,),
    run_id: str = "r",
    **known: Any,
) -> Report:
    artifacts: dict[str, Artifact] = {
        c.variant: artifact(c.variant, macs=macs, trained=False, sha256=f"{run_id}{c.variant}")
        for c in cases
    }
    plan = Plan(cases=tuple(c.case for c in cases), exact_devices=("arm64",), **known)
    return report(
        run_id, *cases, devices=tuple(devices), plan=plan, artifacts=tuple(artifacts.values())
    )


# --- against a baseline ----------------------------------------------------------------------


def gated(
    before: float, after: float, macs: tuple[int | None, int | None] = (1_000_000, 1_000_000)
) -> Report:
    sides = [
        run(case(counts(count, own)), macs=own, run_id=name)
        for name, count, own in zip("ab", (before, after), macs, strict=True)
    ]
    return gate.compared(sides[1], sides[0], None)


def of_instructions(made: Report) -> MetricComparison:
    assert made.comparison is not None
    found = [m for c in made.comparison.cases for m in c.metrics if m.metric == "instructions"]
    return found[0]


@pytest.mark.parametrize(
    ("before", "after", "macs", "told"),
    [
        (10_000, 10_093, (100_000, 100_150),
         "0.93 % more instructions for 0.15 % more multiply-accumulates"),
        (10_000, 7_000, (100_000, 80_000),
         "30 % fewer instructions for 20 % fewer multiply-accumulates"),
        (10_000, 152_000, (100_000, 100_000),
         "15x as many instructions for the same multiply-accumulates: other kernels"),
    ],
)  # fmt: skip
def test_the_gate_tells_more_work_from_slower_kernels(
    before: float, after: float, macs: tuple[int, int], told: str
) -> None:
    made = gated(before, after, macs)
    said = lines(made)
    row = next(i for i, line in enumerate(said) if "instructions" in line and "10,000" in line)
    assert any(f"m (emulated), instructions: {told}" in line for line in said[row + 1 :])
    for name in ("markdown", "html", "junit"):
        assert (told in page(made, name)) or (name == "junit" and after < before)


def test_where_the_work_is_not_known_or_nothing_changed_nothing_is_said_of_it() -> None:
    assert of_instructions(gated(10_000, 10_100, (None, 100_000))).note == ""
    same = gated(10_000, 10_001, (100_000, 100_150))
    assert of_instructions(same).note == "" and "multiply-accumulates" not in shown(same)


def test_a_baseline_of_another_core_is_told_once_and_with_the_line_that_fixes_it() -> None:
    other = msgspec.structs.replace(
        ARM, identity="cortex-a53, emulated", model="cortex-a53, emulated by qemu", cpu="cortex-a53"
    )
    made = gate.compared(run(case(counts(2)), devices=(other,)), run(case(counts(1))), None)
    with pytest.raises(UsageError) as error:
        gate.exit_code(made, strict=False)
    assert str(error.value).count("cortex-a53") == 1
    assert "core cortex-a76 / cortex-a53" in str(error.value)
    assert error.value.fix == "set `cpu: cortex-a76` in devices.yaml"
    assert "one machine" not in shown(made)


def test_max_under_another_qemu_is_told_by_the_version() -> None:
    old, new = (
        msgspec.structs.replace(ARM, identity=f"max, emulated by qemu {v}", cpu="max")
        for v in ("7.2", "10.0")
    )
    made = gate.compared(
        run(case(counts(2)), devices=(new,)), run(case(counts(1)), devices=(old,)), None
    )
    with pytest.raises(UsageError, match=r"by qemu 7\.2 / max, emulated by qemu 10\.0") as error:
        gate.exit_code(made, strict=False)
    assert "a new baseline" in error.value.fix


# --- budgets ---------------------------------------------------------------------------------


def budgeted(budget: str, *cases: CaseReport, devices: Sequence[DeviceFacts] = (ARM,)) -> Report:
    made = run(*cases, devices=devices, budget=budget)
    return msgspec.structs.replace(made, verdict=judge(made, metric_specs.specs()))


def test_a_budget_that_cannot_be_judged_is_not_called_missed_and_stays_red() -> None:
    made = budgeted("latency<=5ms", case(counts(10_000)))
    text = shown(made)
    assert f"latency<=5ms: 1 not judged ({NOT_TIME})" in text
    assert text.count("cannot be judged") == 1 and "missed" not in text
    assert gate.verdict_exit_code(made, strict=False) == 1
    assert f"`latency<=5ms` not judged of `m` ({NOT_TIME})" in page(made, "markdown")
    assert "missed by" not in page(made, "markdown")
    assert f"latency&lt;=5ms: 1 not judged ({NOT_TIME})" in page(made, "junit")
    html = page(made, "html")
    assert '<span class="badge not-judged">not judged</span>' in html
    assert 'class="badge missed"' not in html and "misses latency" not in html
    assert "No variant fits" not in html
    assert html.count(f">{NOT_TIME}<") == 1
    assert "undecided or not judged" in html and "; not judged latency&lt;=5ms" in html


def test_what_one_device_misses_is_missed_beside_what_cannot_be_judged_of_the_other() -> None:
    slow = Measurement(unit="ns", point=9e6, ci_low=8e6, ci_high=9e6, confidence=0.95, n=7)
    on_host = case({"latency": slow}, on="host")
    made = budgeted("latency<=5ms", on_host, case(counts(10)), devices=(device(), ARM))
    assert f"latency<=5ms: 1 missed, 1 not judged ({NOT_TIME})" in shown(made)
    assert "missed by `m (host)`, not judged of `m (arm64)`" in page(made, "markdown")


# --- what is absent, and what it was counted on ----------------------------------------------


MEMORY = "emulated core: its memory is the emulator's"
NO_MEMORY = Measurement(unit="bytes", point=None, absent_because=MEMORY)
QUICK = Measurement(unit="ns", point=1e6, ci_low=9e5, ci_high=1.1e6, confidence=0.95, n=7)
BOTH = run(
    case({"latency": QUICK, "init": QUICK, "peak_rss": NO_MEMORY}, on="host"),
    case(counts(10, peak_rss=NO_MEMORY)),
    devices=(device(), ARM),
)


def unfolded(made: Report, name: str) -> str:
    """What a reader of the format sees, on one line."""
    text = shown(made) if name == "terminal" else page(made, name)
    return " ".join(text.replace("&#39;", "'").split())


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_each_reason_is_told_once_with_all_that_it_is_about(name: str) -> None:
    alone = unfolded(run(case(counts(10, peak_rss=NO_MEMORY))), name)
    assert f"init, latency: absent, {NOT_TIME}" in alone
    assert f"peak RSS: absent, {MEMORY}" in alone
    assert alone.count(f"absent, {NOT_TIME}") == 1


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_what_one_device_of_two_lacks_is_told_of_that_one(name: str) -> None:
    text = unfolded(BOTH, name)
    assert f"init, latency: absent on arm64, {NOT_TIME}" in text
    assert f"peak RSS: absent, {MEMORY}" in text  # on both
    assert text.count("absent on") == 1


def test_counts_are_not_said_to_be_no_phones() -> None:
    alone = shown(run(case(counts(10))))
    assert "all counted on an emulated core: a phone's kernels, not its time" in alone
    assert "not a phone's numbers" not in alone
    beside = lines(BOTH)
    assert any(line.startswith("m § ") and " arm64 " in line for line in beside)
    assert "§ counted on an emulated core: a phone's kernels, not its time" in " ".join(beside)
    assert "(untrained, counted)" in page(BOTH, "markdown")


def test_an_emulated_phone_beside_it_keeps_its_own_mark() -> None:
    phone = msgspec.structs.replace(device(), name="toy", kind="android", emulated=True)
    made = run(case({"latency": QUICK}, on="toy"), case(counts(10)), devices=(phone, ARM))
    said = shown(made)
    assert "‡ emulated device, not a phone's numbers · § counted on" in said
    assert any(line.startswith("m ‡ ") and " toy " in line for line in lines(made))


def test_the_core_is_told_with_its_kernels_and_its_phones() -> None:
    made = run(case(counts(10)))
    told = "1 core, litert 2.3.0; kernels for NEON, fp16, int8 dot product"
    for name in ("terminal", "markdown", "html"):
        assert told in unfolded(made, name)
    facts = unfolded(made, "html")
    assert "<dt>kernels</dt><dd>NEON, fp16, int8 dot product</dd>" in facts
    assert "<dt>phones</dt><dd>big cores: Snapdragon 855</dd>" in facts


def test_of_an_untrained_artifact_that_holds_which_was_measured() -> None:
    def doubt(metrics: dict[str, Measurement]) -> str:
        about = evidence([], artifact=artifact("m", trained=False), metrics=metrics)
        (found,) = plugins.load("harness.analysis.checks", "untrained").findings(about)
        return str(found.message)

    assert "its size and instructions are valid, its answers are meaningless" in doubt(counts(10))
    assert "latency" not in doubt(counts(10))
    size = Measurement(unit="bytes", point=10, n=1)
    assert "its size, latency and peak RSS are valid" in doubt(
        {"size": size, "latency": QUICK, "peak_rss": size}
    )
    assert "its size is valid" in doubt({"size": size})
    assert doubt({}).endswith("was not trained: its answers are meaningless")


# --- charts and columns ----------------------------------------------------------------------


def heads(made: Report) -> list[str]:
    """The heads of the page's table of cases."""
    table = page(made, "html").partition('<table class="cases sortable">')[2].partition("</thead>")
    return re.findall(r"<span>([^<]+)</span>", table[0])


def test_what_instructions_are_held_against_stands_beside_them() -> None:
    columns = heads(run(case(counts(10_000))))
    at = columns.index("instructions")
    assert columns[at : at + 3] == ["instructions", "MACs", "instr./MAC"]
    assert heads(BOTH).count("MACs") == 1
    timed = run(case({"latency": QUICK}, on="host"), devices=(device(),))
    assert heads(timed)[-1] == "MACs"


def drawn(made: Report, key: str, theme: Theme = PAPER) -> Any:
    chart = next(c for c in charts.charts_of(View(made)) if c.key == key)
    with svg.drawing():
        figure = chart.draw(theme, charts.HALF).figure
        figure.canvas.draw()
    return figure


def ticks(axis: Any) -> list[str]:
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text()
        for label, at in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        if low <= at <= high
    ]


def test_counts_at_an_axis_have_a_unit() -> None:
    made = run(case(counts(24_357_412)), case(counts(170_000_000), variant="n"))
    (ax,) = drawn(made, "pareto").axes
    assert {"20 M", "50 M", "100 M"} <= set(ticks(ax.yaxis))
    assert not any("e+" in text for text in ticks(ax.xaxis))


def test_a_trend_of_counts_that_differ_little_has_ticks_that_differ() -> None:
    points = tuple(
        Point(run_id=f"r{i}", started_at=f"2026-11-{i + 10}T00:00:00Z", value=24_357_412.0 + 90 * i)
        for i in range(8)
    )
    found = Trend(
        variant="m", device="arm64", identity="", setting="litert, cpu, 1 thread",
        metric="instructions", unit="count", points=points,
    )  # fmt: skip
    with svg.drawing():
        figure = trend_charts.trend(found, 0).draw(PAPER, charts.HALF).figure
        figure.canvas.draw()
    (ax,) = figure.axes
    texts = ticks(ax.yaxis)
    assert len(set(texts)) == len(texts) > 2
    assert all(text.endswith(" M") for text in texts)
    assert ax.yaxis.get_offset_text().get_text() == ""


def test_the_band_of_the_forest_is_that_of_each_metric() -> None:
    made = gated(10_000, 10_093)
    (ax,) = drawn(made, "baseline").axes
    bands = [
        (bar.get_x(), bar.get_x() + bar.get_width())
        for bar in ax.patches
        if (bar.get_gid() or "").startswith("allowed")
    ]
    assert bands == [
        (pytest.approx(1 / 1.001), pytest.approx(1.001)),
        (pytest.approx(1 / 1.05), pytest.approx(1.05)),
    ]
    assert "change that its metric is allowed: 5.0 %, 0.10 % for instructions" in page(made, "html")
