"""What a comparison says, as the reader of a gate's answer sees it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.compare import compare
from harness.analysis.sequential import decide, rounds_at
from harness.core.types import (
    CaseReport,
    Comparison,
    Estimate,
    Failure,
    Measurement,
    MetricComparison,
)
from harness.stats.thresholds import Gate, holm
from tests.answers import evaluation
from tests.strategies import (
    SPECS,
    artifact,
    case_report,
    device,
    launch,
    medians,
    report,
    steady_launches,
)

MIRROR = {"regression": "improvement", "improvement": "regression"}


def run(before: CaseReport, after: CaseReport, **options: Any) -> Comparison:
    return compare(report("old", before), report("new", after), specs=SPECS, **options)


def metric(comparison: Comparison, name: str) -> MetricComparison:
    return next(m for c in comparison.cases for m in c.metrics if m.metric == name)


def slower(times: float, n: int = 10, seed: int = 1, **known: Any) -> CaseReport:
    return case_report(steady_launches(n, 5.0 * times, seed=seed), **known)


@pytest.mark.parametrize(
    ("times", "outcome"),
    [(1.2, "regression"), (1 / 1.2, "improvement"), (1.0, "no change"), (1.05, "inconclusive")],
)
def test_outcomes_of_latency(times: float, outcome: str) -> None:
    latency = metric(run(slower(1, seed=2), slower(times)), "latency")
    assert latency.outcome == outcome
    assert latency.ci_low is not None and latency.ci_high is not None
    assert latency.ci_low <= times <= latency.ci_high
    assert (latency.more_launches is not None) <= (outcome == "inconclusive")


def test_a_regression_anywhere_is_the_outcome_of_the_gate() -> None:
    assert run(slower(1), slower(1.2)).outcome == "regression"


def test_inconclusive_says_how_many_more_launches_would_decide() -> None:
    before = case_report([launch(i, [v * 1e6]) for i, v in enumerate((4, 4.5, 5, 5.5, 6))])
    after = case_report([launch(i, [v * 1e6]) for i, v in enumerate((4.4, 5, 5.5, 6, 6.6))])
    latency = metric(run(before, after), "latency")
    assert latency.outcome == "inconclusive"
    assert latency.more_launches is not None and 5 <= latency.more_launches <= 500
    assert latency.note == "the interval crosses the threshold of 5.0 %"


def test_too_few_launches_are_said_not_judged() -> None:
    latency = metric(run(slower(1, n=3), slower(2, n=7)), "latency")
    assert (latency.outcome, latency.more_launches) == ("inconclusive", 2)
    assert latency.note == "3 launches give no interval on one side; 5 do"
    assert latency.ratio == pytest.approx(2, rel=0.05)


def test_what_one_launch_of_many_observes_is_not_decided_by_more() -> None:
    launches = [launch(i, [5e6], peak_rss_bytes=None if i else 50 * 2**20) for i in range(7)]
    memory = Measurement(unit="bytes", point=50 * 2**20, n=1)
    case = case_report(launches, metrics={"peak_rss": memory})
    rss = metric(run(case, case), "peak_rss")
    assert (rss.outcome, rss.more_launches) == ("inconclusive", None)
    assert rss.note == "1 of 7 launches of one side observed it, too few for an interval"


def test_sizes_are_compared_exactly_and_cost_no_correction() -> None:
    def sized(size: float) -> CaseReport:
        launches = steady_launches(7)
        return case_report(launches, metrics={"size": Measurement(unit="bytes", point=size, n=1)})

    assert metric(run(sized(100), sized(106)), "size").outcome == "regression"
    assert metric(run(sized(100), sized(104)), "size").outcome == "no change"
    assert metric(run(sized(106), sized(100)), "size").outcome == "improvement"
    assert run(sized(100), sized(106)).tests == 0
    assert metric(run(sized(100), sized(104), max_regression=0.0), "size").outcome == "regression"


def accuracy(point: float, width: float = 0.01) -> Measurement:
    return Measurement(
        unit="1", point=point, ci_low=point - width, ci_high=point + width, confidence=0.95, n=900
    )


def test_less_accuracy_is_worse() -> None:
    def with_accuracy(m: Measurement) -> CaseReport:
        return case_report(steady_launches(7), metrics={"accuracy": m})

    drop = metric(run(with_accuracy(accuracy(0.95)), with_accuracy(accuracy(0.80))), "accuracy")
    assert (drop.outcome, drop.direction) == ("regression", "higher")
    gain = metric(run(with_accuracy(accuracy(0.80)), with_accuracy(accuracy(0.95))), "accuracy")
    assert gain.outcome == "improvement"
    wide = metric(
        run(with_accuracy(accuracy(0.95, 0.05)), with_accuracy(accuracy(0.90, 0.09))), "accuracy"
    )
    assert (wide.outcome, wide.more_launches) == ("inconclusive", None)


def answered(wrong: range, n: int) -> tuple[CaseReport, Any]:
    """A case, and its answers that are wrong on the images in `wrong`."""
    labels = [i % 2 for i in range(n)]
    scores = [0.9 if (x == 1) != (i in wrong) else 0.1 for i, x in enumerate(labels)]
    m = accuracy(1 - len(wrong) / n, 0.03)
    case = case_report(steady_launches(7), metrics={"accuracy": m})
    return case, evaluation(scores, labels, variant=case.variant)


def judged(before: range, after: range, n: int, **options: Any) -> MetricComparison:
    (old, first), (new, second) = answered(before, n), answered(after, n)
    return metric(
        compare(
            report("old", old, evaluations=(first,)),
            report("new", new, evaluations=(second,)),
            specs=SPECS,
            **options,
        ),
        "accuracy",
    )


@pytest.mark.parametrize(
    ("after", "n", "outcome"),
    [
        (range(0, 62), 2000, "no change"),  # 0.1 points lost: more than 2 are excluded
        (range(0, 200), 2000, "regression"),  # 7 points
        (range(0, 8), 100, "inconclusive"),  # of 100 images: may be 5 points, or none
        (range(0, 10), 2000, "no change"),  # 2.5 points gained, but more than 2 are not shown
        (range(0, 0), 2000, "improvement"),
    ],
)
def test_accuracy_is_judged_by_whether_a_loss_beyond_the_margin_is_excluded(
    after: range, n: int, outcome: str
) -> None:
    found = judged(range(0, 60) if n == 2000 else range(0, 6), after, n)
    assert found.outcome == outcome
    assert found.paired and found.n == n and found.threshold == 0.02
    assert found.loss is not None and found.loss.at_least <= found.loss.point <= found.loss.bound


def test_the_margin_of_the_gate_can_be_given() -> None:
    before, after = range(0, 60), range(0, 90)
    assert judged(before, after, 2000).outcome == "inconclusive"
    assert judged(before, after, 2000, max_accuracy_loss=0.05).outcome == "no change"
    assert "may have lost up to 2.1 points" in judged(before, after, 2000).note


def test_other_images_are_compared_by_their_intervals() -> None:
    (old, first), (new, second) = answered(range(60), 2000), answered(range(60), 2000)
    second = msgspec.structs.replace(second, fingerprint="other")
    found = metric(
        compare(
            report("old", old, evaluations=(first,)),
            report("new", new, evaluations=(second,)),
            specs=SPECS,
        ),
        "accuracy",
    )
    assert (found.outcome, found.paired) == ("inconclusive", False)
    assert found.loss is not None and found.loss.bound == pytest.approx(0.0356, abs=0.0005)


def test_a_metric_that_only_one_side_has_is_named() -> None:
    gone = Measurement(unit="ns", point=None, absent_because="the worker crashed")
    before = slower(1)
    after = msgspec.structs.replace(before, metrics={**before.metrics, "latency": gone})
    compared = run(before, after).cases[0]
    assert "latency" not in {m.metric for m in compared.metrics}
    assert [f.message for f in compared.findings if f.code == "metric-absent"] == [
        "latency was not compared: the candidate has none: the worker crashed"
    ]


def test_variants_of_one_run_are_paired_by_round() -> None:
    rng = random.Random(5)
    moods = [rng.choice((5.4, 7.9)) for _ in range(12)]  # a machine with two speeds

    def side(variant: str, times: float) -> CaseReport:
        return case_report(
            [
                launch(i, [mood * times * 1e6 * rng.lognormvariate(0, 0.01)] * 5)
                for i, mood in enumerate(moods)
            ],
            variant,
        )

    both = report("same", side("a", 1.0), side("b", 1.1))
    apart = compare(report("x", side("b", 1.0)), report("y", side("b", 1.1)), specs=SPECS)
    together = compare(both, both, specs=SPECS, variants={"a": "b"})
    latency = metric(together, "latency")
    assert latency.paired and latency.n == 12
    assert latency.outcome == "regression"
    assert metric(apart, "latency").outcome == "inconclusive"
    assert [(c.baseline.variant, c.candidate.variant) for c in together.cases] == [("a", "b")]


def test_rounds_that_one_side_lacks_are_not_paired() -> None:
    launches = steady_launches(9)
    both = report("same", case_report(launches, "a"), case_report(launches[2:], "b"))
    latency = metric(compare(both, both, specs=SPECS, variants={"a": "b"}), "latency")
    assert (latency.paired, latency.n, latency.ratio) == (True, 7, 1.0)


# --- like with like --------------------------------------------------------------------------


def test_another_device_is_refused_but_the_file_is_still_compared() -> None:
    other = device(identity="other", cpu="Other CPU")
    compared = compare(
        report("old", slower(1)), report("new", slower(2), devices=(other,)), specs=SPECS
    )
    assert {m.metric for m in compared.cases[0].metrics} == {"size"}
    assert compared.refusals[0].code == "device-differs"
    assert "cpu Some CPU / Other CPU" in compared.refusals[0].message
    assert compared.outcome == "inconclusive"


def test_accuracy_on_other_images_is_flagged() -> None:
    case = slower(1)
    old, new = (
        report("r", case, evaluations=(evaluation([0.9, 0.1], [1, 0], fingerprint=f"of {x}"),))
        for x in ("these images", "other images")
    )
    (finding,) = compare(old, new, specs=SPECS).findings
    assert (finding.level, finding.code) == ("warning", "test-images-differ")
    assert finding.message == (
        "test images differ (baseline / candidate): "
        "test images 2 of d (e images) / 2 of d (r images)"
    )
    assert not compare(old, old, specs=SPECS).findings


def test_other_versions_are_flagged_with_what_differs() -> None:
    after = report(
        "new",
        slower(1),
        devices=(device(runtimes={"litert": "2.4.0"}, os="Linux 6.2"),),
        host={"python": "3.12"},
    )
    compared = compare(report("old", slower(1)), after, specs=SPECS)
    told = {f.code: f.message for f in (*compared.findings, *compared.cases[0].findings)}
    assert told["runtime-differs"] == "runtime differs (baseline / candidate): litert 2.3.0 / 2.4.0"
    assert told["os-differs"] == "os differs (baseline / candidate): os Linux 6.1 / Linux 6.2"
    assert told["host-differs"] == "host differs (baseline / candidate): python 3.11 / 3.12"
    assert metric(compared, "latency").outcome == "no change"


def test_another_build_of_a_phones_software_is_flagged() -> None:
    before, after = (
        report("r", slower(1), devices=(device(extra={"fingerprint": f"panther:14/{build}"}),))
        for build in ("A1", "A2")
    )
    told = {f.code: f for f in compare(before, after, specs=SPECS).cases[0].findings}
    assert told["build-differs"].level == "warning"
    assert told["build-differs"].message.endswith("build panther:14/A1 / panther:14/A2")
    same = compare(before, before, specs=SPECS).cases[0].findings
    assert "build-differs" not in {f.code for f in same}


def test_another_schema_is_refused_whole() -> None:
    compared = compare(
        report("old", slower(1), schema_version=0), report("new", slower(1)), specs=SPECS
    )
    assert (compared.cases, compared.refusals[0].code) == ((), "schema-differs")


def test_other_threads_are_no_match_and_the_reason_is_given() -> None:
    compared = run(slower(1), slower(1, threads=2))
    assert compared.cases == ()
    assert compared.refusals[0].message == "m@host/litert/cpu/t1 was not compared: threads 1 / 2"
    assert [c.threads for c in (*compared.only_baseline, *compared.only_candidate)] == [1, 2]


def test_an_invalid_or_failed_case_is_not_compared() -> None:
    failure = Failure(stage="load", transient=False, message="no such op")
    compared = run(slower(1), slower(1, status="failed", failure=failure))
    assert compared.cases[0].metrics == ()
    assert compared.refusals[0].message == "the candidate is failed: no such op"


def test_all_variants_slower_by_one_factor_is_the_machine() -> None:
    names = ("a", "b", "c")
    before = report("old", *(slower(1, variant=v, seed=i) for i, v in enumerate(names)))
    after = report("new", *(slower(1.3, variant=v, seed=i + 9) for i, v in enumerate(names)))
    compared = compare(before, after, specs=SPECS)
    assert [f.code for f in compared.findings] == ["all-moved-together"]
    assert compared.outcome == "inconclusive"
    assert metric(compared, "latency").note.startswith("withheld: all 3 variants took 1.3")

    one = report("new", slower(1.3, variant="a"), slower(1, variant="b"), slower(1, variant="c"))
    alone = compare(before, one, specs=SPECS)
    assert (alone.findings, alone.outcome) == ((), "regression")


def test_another_runtime_version_may_slow_all_variants() -> None:
    names = ("a", "b", "c")
    before = report("old", *(slower(1, variant=v) for v in names))
    after = report(
        "new",
        *(slower(1.3, variant=v, seed=9) for v in names),
        devices=(device(runtimes={"litert": "2.4.0"}),),
    )
    assert compare(before, after, specs=SPECS).outcome == "regression"


def test_another_build_of_the_runner_is_not_another_state_of_the_machine() -> None:
    same = artifact(variant="a", sha256="the same")
    before, after = (
        report(
            side,
            slower(times, variant="a", seed=seed),
            artifacts=(same,),
            devices=(device(extra={"runner_sha256": build * 64}),),
        )
        for side, times, seed, build in (("old", 1, 1, "a"), ("new", 6, 2, "b"))
    )
    compared = compare(before, after, specs=SPECS)
    assert "runner-differs" in {finding.code for finding in compared.cases[0].findings}
    assert compared.outcome == "regression"


def test_an_unchanged_file_is_a_control_for_its_machine() -> None:
    same = artifact(variant="a", sha256="the same")
    changed = [artifact(variant="b", sha256=side) for side in ("old", "new")]
    before = report(
        "old", slower(1, variant="a"), slower(1, variant="b"), artifacts=(same, changed[0])
    )
    moved = report(
        "new",
        slower(1.3, variant="a", seed=4),
        slower(1.5, variant="b", seed=5),
        artifacts=(same, changed[1]),
    )
    compared = compare(before, moved, specs=SPECS)
    assert [f.code for f in compared.findings] == ["machine-changed"]
    assert compared.outcome == "inconclusive"
    still = report(
        "new",
        slower(1, variant="a", seed=4),
        slower(1.5, variant="b", seed=5),
        artifacts=(same, changed[1]),
    )
    compared = compare(before, still, specs=SPECS)
    assert (compared.findings, compared.outcome) == ((), "regression")


def test_the_same_file_is_said_to_be_so() -> None:
    same = (artifact(),)
    compared = compare(
        report("old", slower(1), artifacts=same),
        report("new", slower(1), artifacts=same),
        specs=SPECS,
    )
    assert [f.code for f in compared.cases[0].findings] == ["same-file"]


# --- many comparisons ------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_what_one_comparison_would_call_a_regression_many_do_not() -> None:
    """Five rounds against five cannot carry a p value below 1/252."""
    alone = compare(
        report("old", slower(1, n=5)),
        report("new", slower(1.3, n=5, seed=3)),
        specs={"latency": SPECS["latency"]},
    )
    assert alone.outcome == "regression"
    names = [f"v{i}" for i in range(20)]
    many = compare(
        report("old", *(slower(1, n=5, variant=v) for v in names)),
        report(
            "new",
            *(slower(1.3 if v == "v0" else 1.0, n=5, variant=v, seed=3) for v in names),
        ),
        specs={"latency": SPECS["latency"]},
    )
    first = metric(many, "latency")
    assert (many.tests, first.outcome) == (20, "inconclusive")
    assert "after correction for 20 comparisons" in first.note
    assert first.more_launches is not None and first.more_launches >= 1


def test_more_launches_reach_the_level_that_many_comparisons_need() -> None:
    """Among 60, the first step of Holm asks for p <= 0.05 / 60: seven rounds, whose least p value
    is 1 / 128, cannot have it however clear the difference; eleven can."""
    launches = steady_launches(7)
    names = [f"v{i}" for i in range(60)]
    both = report(
        "same",
        *(case_report(launches, v) for v in names),
        *(slower(2.0, n=7, variant=f"w{v}", seed=5) for v in names[:1]),
        *(case_report(launches, f"w{v}") for v in names[1:]),
    )
    compared = compare(
        both,
        both,
        specs={"latency": SPECS["latency"]},
        variants={v: f"w{v}" for v in names},
    )
    doubled = metric(compared, "latency")
    assert (doubled.paired, doubled.n, doubled.outcome) == (True, 7, "inconclusive")
    assert doubled.more_launches == 4


def test_family_wise_false_alarms() -> None:
    """Eight equal cases, bimodal noise of 0.18: a gate that alarms wrongly more than 1 in 20
    times fails this with near certainty."""
    rng = random.Random(11)

    def noise(variant: str) -> CaseReport:
        times = [rng.choice((5.4, 7.9)) * rng.lognormvariate(0, 0.03) for _ in range(10)]
        return case_report([launch(i, [t * 1e6]) for i, t in enumerate(times)], variant)

    names = [f"v{i}" for i in range(8)]
    spec = {"latency": SPECS["latency"]}
    alarms = sum(
        compare(
            report("a", *map(noise, names)), report("b", *map(noise, names)), specs=spec
        ).outcome
        == "regression"
        for _ in range(60)
    )
    assert alarms <= 6


# --- properties ------------------------------------------------------------------------------


@settings(max_examples=40)
@given(medians, medians, st.floats(min_value=0, max_value=0.5))
def test_swapping_the_sides_mirrors_the_answer(
    a: list[float], b: list[float], threshold: float
) -> None:
    before = case_report([launch(i, [v]) for i, v in enumerate(a)])
    after = case_report([launch(i, [v]) for i, v in enumerate(b)])
    forth, back = (
        metric(run(x, y, max_regression=threshold), "latency")
        for x, y in ((before, after), (after, before))
    )
    assert back.outcome == MIRROR.get(forth.outcome, forth.outcome)
    assert back.p_regression == forth.p_improvement
    assert forth.ratio and forth.ci_low and forth.ci_high
    assert (back.ratio, back.ci_low, back.ci_high) == pytest.approx(
        (1 / forth.ratio, 1 / forth.ci_high, 1 / forth.ci_low)
    )


@given(medians)
def test_a_case_against_itself_is_never_a_change(values: list[float]) -> None:
    itself = case_report([launch(i, [v]) for i, v in enumerate(values)])
    latency = metric(run(itself, itself), "latency")
    assert latency.ratio == pytest.approx(1.0)
    assert latency.outcome in ("no change", "inconclusive")


# --- one question, sequentially --------------------------------------------------------------


def test_more_launches_grow_towards_the_threshold() -> None:
    gate = Gate(threshold=0.05)

    def needed(point: float) -> int | None:
        return gate.more(
            Estimate(point=point, ci_low=point / 1.1, ci_high=point * 1.1, confidence=0.95, n=10)
        )

    near, far, on = needed(1.08), needed(1.14), needed(1.05)
    assert near is not None and far is not None and near > far > 0
    assert on is None


def test_looks_are_half_as_many_rounds_again() -> None:
    assert [rounds_at(k) for k in range(1, 6)] == [7, 10, 15, 22, 33]


def test_a_clear_difference_is_decided_at_the_first_look() -> None:
    rng = random.Random(2)
    rounds = [(5.0, 6.0 * rng.lognormvariate(0, 0.01)) for _ in range(7)]
    decision = decide(rounds, look=1)
    assert (decision.outcome, decision.rounds) == ("regression", 7)
    assert decision.ratio is not None and decision.ratio.confidence >= 0.975
    assert decide(rounds, look=1, direction="higher").outcome == "improvement"


def test_an_unclear_one_asks_for_more() -> None:
    rng = random.Random(3)
    rounds = [(5.0, 5.3 * rng.lognormvariate(0, 0.2)) for _ in range(10)]
    assert not decide(rounds, look=2).decided


def test_a_look_without_its_rounds_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="look 2 needs 10 rounds, there are 9"):
        decide([(1.0, 1.0)] * 9, look=2)
