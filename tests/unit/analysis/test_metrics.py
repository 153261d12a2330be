"""Metrics of latency's tail and of labelled images: what they say, and why they do not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis import gate, metric_specs
from harness.analysis.checks import evaluation_failed, quantization_broke
from harness.core.types import Evidence, LatencySummary, Launch, Measurement
from harness.stats.accuracy import agreement
from tests import strategies
from tests.answers import broken, child, evaluation

LABELLED = ("accuracy", "balanced_accuracy", "auc", "log_loss", "calibration_error")
TAILS = ("latency_mean", "latency_p90", "latency_p95", "latency_p99")


def extract(name: str, evidence: Evidence) -> Measurement:
    return metric_specs.metrics()[name].extract(evidence)


# --- the tail of latency ---------------------------------------------------------------------


@pytest.mark.parametrize("name", TAILS)
def test_the_tail_is_that_of_latency_with_an_interval(name: str) -> None:
    evidence = strategies.evidence(strategies.steady_launches(9))
    found, whole = extract(name, evidence), extract("latency", evidence)
    assert found.point == getattr(whole, name.removeprefix("latency_"))
    assert found.point is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= found.point <= found.ci_high
    assert (found.unit, found.n, found.confidence) == ("ns", 9, 0.95)


def test_few_iterations_have_no_tail() -> None:
    launches = tuple(strategies.launch(i, [5e6, 6e6]) for i in range(5))
    found = extract("latency_p99", strategies.evidence(launches))
    assert found.point is None
    assert found.absent_because == "10 independent values cannot bound it; 299 can"
    assert extract("latency_mean", strategies.evidence(launches)).point == 5.5e6


def test_few_launches_have_a_mean_without_interval() -> None:
    found = extract("latency_mean", strategies.evidence(strategies.steady_launches(3)))
    assert found.point is not None
    assert found.ci_low is None
    assert found.absent == {"ci": "3 launches give no interval; 5 do"}


def told(p95s_ns: list[int], count: int = 60) -> Evidence:
    """Launches of a runner that tells summaries."""
    launches = strategies.steady_launches(len(p95s_ns))
    summaries = [
        LatencySummary(count=count, median_ns=5_000_000, mean_ns=p95 - 500_000, p95_ns=p95)
        for p95 in p95s_ns
    ]
    return strategies.evidence(
        tuple(
            msgspec.structs.replace(x, latency_ns=(), latency_summary=s)
            for x, s in zip(launches, summaries, strict=True)
        )
    )


def test_a_runner_of_summaries_gives_the_p95_of_a_typical_launch() -> None:
    """So that a budget for it can be met, and missed, on a phone."""
    evidence = told([6_000_000, 6_100_000, 6_050_000, 9_000_000, 6_020_000, 6_080_000, 6_040_000])
    found = extract("latency_p95", evidence)
    assert found.point == 6_050_000
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert 6_000_000 <= found.ci_low < found.point < found.ci_high <= 9_000_000
    assert (found.n, found.confidence) == (7, 0.95)
    mean = extract("latency_mean", evidence)
    assert mean.ci_low is not None
    assert mean.ci_high is not None
    assert mean.ci_low < (mean.point or 0) < mean.ci_high
    assert extract("latency_p90", evidence).point is None


def test_too_few_iterations_in_a_launch_or_launches_say_so() -> None:
    few = extract("latency_p95", told([6_000_000] * 7, count=19))
    assert few.absent_because == "a launch of 19 iterations is too short for a p95; 20 are enough"
    two = extract("latency_p95", told([6_000_000, 7_000_000]))
    assert two.point == 6_500_000
    assert two.absent == {"ci": "2 launches give no interval; 5 do"}


def test_the_interval_of_launches_p95s_holds_as_often_as_it_says() -> None:
    """Launches differ by 10 %, iterations have spikes; the truth is the median launch's p95."""
    rng = np.random.default_rng(3)

    def p95s(launches: int) -> list[int]:
        level = np.exp(rng.normal(0, 0.1, (launches, 1)))
        spikes = 1 + 2 * (rng.random((launches, 60)) < 0.06)
        ordered = np.sort(5e6 * level * spikes * np.exp(rng.normal(0, 0.02, (launches, 60))))
        return [int(x) for x in ordered[:, 57]]

    truth, covered = float(np.median(p95s(20_000))), 0
    for _ in range(300):
        found = extract("latency_p95", told(p95s(7)))
        covered += (found.ci_low or 0) <= truth <= (found.ci_high or 0)
    assert 0.92 <= covered / 300 <= 0.98


@pytest.mark.parametrize("name", TAILS)
def test_without_launches_it_is_absent(name: str) -> None:
    nothing: tuple[Launch, ...] = ()
    assert extract(name, strategies.evidence(nothing)).absent_because == "no launch observed it"


# --- labelled images -------------------------------------------------------------------------

SCORES = [0.1, 0.2, 0.8, 0.4, 0.9] * 6
LABELS = [0, 0, 1, 1, 1] * 6


@pytest.mark.parametrize("name", LABELLED)
def test_every_metric_of_an_evaluation_is_measured(name: str) -> None:
    evidence = strategies.evidence((), evaluation=evaluation(SCORES, LABELS))
    found = extract(name, evidence)
    assert found.absent_because is None
    assert found.n == 30
    assert (found.ci_low is None) == (name == "calibration_error")


def test_their_points() -> None:
    found = evaluation(SCORES, LABELS)
    assert found.confusion == ((12, 0), (6, 12))
    evidence = strategies.evidence((), evaluation=found)
    assert extract("accuracy", evidence).point == pytest.approx(24 / 30)
    assert extract("balanced_accuracy", evidence).point == pytest.approx((1 + 12 / 18) / 2)
    assert extract("auc", evidence).point == 1


def test_three_classes_have_a_mean_area_with_its_interval() -> None:
    rows = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.2, 0.2, 0.6]
    found = extract("auc", strategies.evidence((), evaluation=evaluation(rows, [0, 1, 2])))
    assert found.point == 1
    assert found.ci_high == 1
    assert found.ci_low is not None
    assert found.ci_low < 0.5  # three images


def test_logits_rank_but_are_no_probabilities() -> None:
    logits = evaluation([3.0, -1.0, 0.5, -2.0, 1.0, 4.0] * 10, [0, 2] * 10)
    evidence = strategies.evidence((), evaluation=logits)
    assert extract("accuracy", evidence).point == 1
    assert extract("log_loss", evidence).absent_because == "its scores are not probabilities"
    assert extract("calibration_error", evidence).absent_because is not None


@pytest.mark.parametrize("name", (*LABELLED, "agreement"))
@pytest.mark.parametrize(
    ("known", "because"),
    [
        ({"trained": False, "model": "scratch"}, "untrained: its answers are meaningless"),
        ({"trained": True, "model": "scratch"}, "no labelled images; --data DIR gives them"),
        (
            {"trained": None, "model": None},
            "no labelled images for a file you brought; --data DIR gives them",
        ),
    ],
)
def test_what_is_absent_says_why(name: str, known: dict[str, Any], because: str) -> None:
    artifact = strategies.artifact(float_parent="parent", **known)
    found = extract(name, strategies.evidence((), artifact=artifact))
    assert (found.point, found.absent_because) == (None, because)


def test_a_failed_evaluation_is_a_finding_and_a_reason() -> None:
    evidence = broken()
    assert extract("accuracy", evidence).absent_because == "it could not be evaluated: it crashed"
    (finding,) = evaluation_failed.findings(evidence)
    assert (finding.level, finding.fix) == ("warning", "look")


# --- against the float parent ----------------------------------------------------------------


def test_agreement_is_a_share_with_an_interval() -> None:
    found = extract("agreement", child(190))
    assert found.point == 0.95
    assert found.ci_low is not None


def test_how_far_scores_are_from_the_float_parents() -> None:
    labels = [0, 1, 1, 0]
    parent, own = evaluation([0.1, 0.9, 0.8, 0.2], labels), evaluation([0.1, 0.5, 0.9, 0.2], labels)
    own = msgspec.structs.replace(own, agreement=agreement(own, parent))
    evidence = strategies.evidence((), evaluation=own, parent_evaluation=parent)
    assert extract("agreement_largest", evidence).point == pytest.approx(0.4)
    assert extract("agreement_mean", evidence).point == pytest.approx((0.4 + 0.1) / 4)
    alone = strategies.evidence((), evaluation=parent)
    assert extract("agreement_largest", alone).absent_because == "no float parent was evaluated"


def test_sparsity_is_told_where_it_is_known() -> None:
    def found(sparsity: float | None) -> Measurement:
        artifact = strategies.artifact(sparsity=sparsity)
        return extract("sparsity", strategies.evidence((), artifact=artifact))

    assert found(0.8).point == 0.8
    assert found(None).absent_because == "not known"


def test_no_parent_no_agreement() -> None:
    evidence = strategies.evidence((), evaluation=evaluation([0.1, 0.9], [0, 1]))
    assert extract("agreement", evidence).absent_because == "it has no float parent"
    orphan = msgspec.structs.replace(evidence, artifact=strategies.artifact(float_parent="p"))
    because = extract("agreement", orphan).absent_because
    assert because == "its float parent p was not evaluated"


@pytest.mark.parametrize(
    ("evidence", "codes"),
    [
        (child(200), []),
        (child(198), []),  # two of 200: not proven
        (child(196), []),  # exactly 98 %
        (child(150), ["quantization-broke-it"]),
        (child(150, recipe="pruned"), ["pruning-broke-it"]),
        (child(150, recipe="pruned+int8"), ["quantization-broke-it"]),
        (child(18, n=20), []),  # a tenth differs, but of 20 images only
    ],
)
def test_what_breaks_a_model_is_found_and_nothing_else(
    evidence: Evidence, codes: list[str]
) -> None:
    found = quantization_broke.findings(evidence)
    assert [f.code for f in found] == codes
    assert all(f.level == "serious" and f.fix for f in found)


def test_other_decisions_are_a_finding_even_if_as_many_are_right() -> None:
    labels = [i % 2 for i in range(200)]
    parent = evaluation([0.9 if x and i >= 30 else 0.1 for i, x in enumerate(labels)], labels)
    own = evaluation([0.9 if x and i < 170 else 0.1 for i, x in enumerate(labels)], labels)
    own = msgspec.structs.replace(own, agreement=agreement(own, parent))
    artifact = strategies.artifact(recipe="int8", float_parent="m")
    evidence = strategies.evidence((), artifact=artifact, evaluation=own, parent_evaluation=parent)
    (found,) = quantization_broke.findings(evidence)
    assert found.message == (
        "its answers differ from those of its float parent m: 15 % of its decisions differ, "
        "scores by up to 0.80 and 0.12 on average; recipe int8"
    )
    trained_on = strategies.artifact(recipe="pruned", float_parent="m")
    pruned = msgspec.structs.replace(evidence, artifact=trained_on)
    assert quantization_broke.findings(pruned) == []


# --- what a baseline looks at ----------------------------------------------------------------


def test_a_baseline_compares_what_is_measured_once() -> None:
    compared = {name for name, spec in metric_specs.specs().items() if spec.gated}
    assert {"latency", "init", "peak_rss", "size", "accuracy"} <= compared
    assert not compared & {*TAILS, "calibration_error", "agreement"}
    launches = strategies.steady_launches(9)
    case = strategies.case_report(launches)
    tails = {name: extract(name, strategies.evidence(launches)) for name in TAILS}
    case = msgspec.structs.replace(case, metrics={**case.metrics, **tails})
    first, second = strategies.report("a", case), strategies.report("b", case)
    comparison = gate.compared(second, first, 0.05).comparison
    assert comparison is not None
    assert {m.metric for m in comparison.cases[0].metrics} == {
        "latency",
        "init",
        "peak_rss",
        "size",
    }


# --- memory that not every device tells ------------------------------------------------------


@pytest.mark.parametrize("name", ["pss", "arena"])
def test_memory_that_few_launches_tell_has_no_interval(name: str) -> None:
    launches = strategies.steady_launches(7)
    seen = msgspec.structs.replace(launches[0], **{f"{name}_bytes": 40_000_000})
    found = extract(name, strategies.evidence((seen, *launches[1:])))
    assert (found.unit, found.point, found.n) == ("bytes", 40_000_000, 1)
    assert found.ci_low is None


@pytest.mark.parametrize("name", ["pss", "arena"])
def test_memory_that_no_launch_tells_is_no_metric_of_the_report(name: str) -> None:
    evidence = strategies.evidence(strategies.steady_launches(7))
    assert extract(name, evidence).point is None
    assert name not in metric_specs.extract(evidence)
