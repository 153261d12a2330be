"""How latency scattered: in the report as it is saved, and in every format that a person reads."""

from __future__ import annotations

import io
import json
import math
import random
from statistics import fmean, pstdev

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from harness.analysis.noise import drifts_of, noise_of
from harness.core.types import CaseReport, LatencySummary, Launch, Report
from harness.renderers.formats import terminal
from harness.renderers.view import View
from harness.stats.series import drift, drift_of_run
from harness.stats.summaries import outliers, spread, spread_of_summaries
from harness.system import plugins
from tests import reports, strategies
from tests.lazily import Lazily

stats = Lazily("scipy.stats")


def launches(medians: list[float], within: float = 0.01, seed: int = 1) -> list[Launch]:
    rng = random.Random(seed)
    return [
        strategies.launch(i, [m * math.exp(rng.gauss(0, within)) for _ in range(40)])
        for i, m in enumerate(medians)
    ]


NOISY = launches([5e6, 5.1e6, 5.05e6, 5.02e6, 5.08e6, 5.04e6, 9e6])


def test_a_case_tells_its_two_spreads_and_its_outliers() -> None:
    noise = noise_of(NOISY)
    parts = spread([x.latency_ns for x in NOISY])
    assert noise is not None and parts is not None
    assert (noise.within_ns, noise.between_ns) == (parts.within, parts.between)
    assert noise.within_ns == pytest.approx(0.01 * 5.6e6, rel=0.3)
    assert noise.between_share is not None and noise.between_share > 0.9
    assert [(x.launch, x.label) for x in noise.outliers] == [(6, "high severe")]
    assert noise.launches == 7


def test_nothing_timed_has_no_noise_and_one_launch_no_spread() -> None:
    assert noise_of([]) is None
    alone = noise_of(NOISY[:1])
    assert alone is not None
    assert alone.within_ns is None and alone.between_ns is None
    assert alone.absent_because == "it takes two launches"


def summarized(launch: Launch) -> Launch:
    values = launch.latency_ns
    told = LatencySummary(
        count=len(values),
        median_ns=sorted(values)[len(values) // 2],
        mean_ns=round(fmean(values)),
        std_ns=round(pstdev(values)),
    )
    return replace(launch, latency_ns=(), latency_summary=told)


def test_summaries_of_a_phone_give_the_same_spreads() -> None:
    whole = spread([x.latency_ns for x in NOISY])
    told = [summarized(x) for x in NOISY]
    parts = spread_of_summaries([x.latency_summary for x in told if x.latency_summary])
    assert whole is not None and parts is not None
    assert parts.within == pytest.approx(whole.within, rel=1e-4)
    assert parts.between == pytest.approx(whole.between, rel=1e-4)
    bare = [
        replace(x, latency_summary=replace(x.latency_summary, std_ns=None))
        for x in told
        if x.latency_summary
    ]
    noise = noise_of(bare)
    assert noise is not None and noise.absent_because == "the runner reports no spread"
    assert noise.outliers


def rising(per_launch: float, cases: int = 5, count: int = 7) -> list[CaseReport]:
    """Launches of all cases in turn, each slower than the one before."""
    rng = random.Random(4)
    made = []
    for k in range(cases):
        base = 5e6 * (k + 1)
        orders = [cases * i + k for i in range(count)]
        own = launches([base * (1 + per_launch * o) * math.exp(rng.gauss(0, 0.02)) for o in orders])
        own = [replace(x, order=o) for x, o in zip(own, orders, strict=True)]
        shape = replace(reports.normal().cases[0], variant=f"m{k}", noise=None)
        made.append(replace(shape, launches=tuple(own), noise=noise_of(own)))
    return made


def test_drift_over_all_cases_has_its_interval_and_its_count() -> None:
    (found,) = drifts_of(rising(0.004))
    assert (found.cases, found.launches) == (5, 35)
    assert found.p < 0.001
    assert found.ci_low < 0.004 * 34 < found.ci_high
    assert found.ci_low < found.change < found.ci_high
    (none,) = drifts_of(rising(0.0))
    assert none.p > 0.02
    assert none.ci_low < 0 < none.ci_high


def test_the_interval_of_a_drift_is_that_of_scipy() -> None:
    rng = random.Random(7)
    values = [math.exp(rng.gauss(0, 0.1) + 0.01 * i) for i in range(30)]
    found = drift(values)
    slope, _, low, high = stats.theilslopes([math.log(v) for v in values], alpha=0.95)
    assert found is not None
    assert found.change == pytest.approx(math.expm1(slope * 29))
    assert found.ci_low == pytest.approx(math.expm1(low * 29), abs=2e-3)
    assert found.ci_high == pytest.approx(math.expm1(high * 29), abs=2e-3)


def test_drift_of_ten_thousand_launches_is_found_in_a_moment() -> None:
    """Every pair of them would be fifty million; neighbours in time are taken together."""
    rng = random.Random(2)
    orders = range(10_000)
    cases = [
        [(o, 5e6 * (1 + 1e-5 * o) * math.exp(rng.gauss(0, 0.05))) for o in orders[k::500]]
        for k in range(500)
    ]
    found = drift_of_run(cases)
    assert found is not None and found.significant
    assert found.change == pytest.approx(0.1, abs=0.02)


# --- what a reader sees ------------------------------------------------------------------------


def report() -> Report:
    cases = tuple(rising(0.004))
    noisy = replace(cases[0], launches=tuple(NOISY), noise=noise_of(NOISY))
    every = (*cases, replace(noisy, variant="noisy"))
    made = reports.make()
    artifacts = tuple(replace(made.artifacts[0], variant=c.variant) for c in every)
    return replace(made, cases=every, artifacts=artifacts, drifts=drifts_of(cases))


def read(name: str) -> str:
    data: bytes = plugins.load("harness.renderers.formats", name).render(View(report()))
    return data.decode()


def test_the_wide_table_has_a_column_for_each() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=False, color_system=None)
    terminal.render_to(View(report()), console, wide=True)
    text = out.getvalue()
    head = next(line for line in text.splitlines() if "variant" in line)
    assert {"within", "between", "outliers"} <= {*head.split()}
    noisy = next(line for line in text.splitlines() if line.startswith("noisy"))
    assert "1 high" in noisy
    assert "latency drifted over 5 cases on host: +1" in text
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=False, color_system=None)
    terminal.render_to(View(report()), console, columns=["between"])
    assert "between" in out.getvalue()


def test_the_page_has_columns_rings_and_the_drift() -> None:
    page = read("html")
    for said in ("within launches", "between launches", "launch 7 high severe", "an outlier (high"):
        assert said in page, said
    assert "latency drifted over 5 cases on host" in page
    assert "which only more launches reduce" in page


def test_the_json_has_all_of_it() -> None:
    saved = json.loads(read("json"))
    noisy = next(c for c in saved["cases"] if c["variant"] == "noisy")
    assert noisy["noise"]["outliers"] == [{"launch": 6, "label": "high severe"}]
    assert noisy["noise"]["between_ns"] > noisy["noise"]["within_ns"] > 0
    assert saved["drifts"][0]["device"] == "host"
    assert {"change", "ci_low", "ci_high", "p", "launches"} <= saved["drifts"][0].keys()


def test_a_report_of_old_shows_them_too() -> None:
    old = replace(report(), drifts=(), cases=tuple(replace(c, noise=None) for c in report().cases))
    view = View(msgspec.json.decode(msgspec.json.encode(old), type=Report))
    assert view.noise == View(report()).noise
    assert view.drifts


def test_outliers_are_never_dropped() -> None:
    assert len(outliers([x.latency_ns[0] for x in NOISY])) == len(NOISY)
