"""The verdict: its laws, and its sentences word for word."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import gate, metric_specs
from harness.analysis.candidates import dominates, front
from harness.analysis.verdict import judge
from harness.core.evaluation import packed_labels, packed_scores
from harness.core.types import (
    Artifact,
    CaseReport,
    Evaluation,
    Finding,
    Measurement,
    Plan,
    Report,
    Verdict,
)
from tests import strategies

SPECS = metric_specs.specs()
measured = metric_specs.metrics()["accuracy"]
MS, MB, MIB = 1e6, 1e6, 2**20

vectors = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=8)


# --- laws ------------------------------------------------------------------------------------


@given(vectors)
def test_dominance_is_a_strict_partial_order(points: list[list[int]]) -> None:
    for a, b in itertools.product(points, repeat=2):
        assert not (dominates(a, b) and dominates(b, a))
        for c in points:
            if dominates(a, b) and dominates(b, c):
                assert dominates(a, c)


@given(vectors)
def test_the_front_is_what_nothing_dominates(points: list[list[int]]) -> None:
    named = {str(i): p for i, p in enumerate(points)}
    found = front(named)
    assert found
    for name, point in named.items():
        beaten = any(dominates(named[f], point) for f in found)
        assert beaten == (name not in found)


# --- reports ---------------------------------------------------------------------------------


def around(unit: str, point: float, relative: float = 0.01) -> Measurement:
    reach = point * relative
    return Measurement(
        unit=unit, point=point, ci_low=point - reach, ci_high=point + reach, confidence=0.95, n=7
    )


def case(
    variant: str, size_mb: float, latency_ms: float, rss_mib: float, **known: Any
) -> CaseReport:
    fields: dict[str, Any] = {
        "variant": variant,
        "device": "host",
        "runtime": "litert",
        "delegate": "cpu",
        "threads": 1,
        "status": "ok",
        "metrics": {
            "size": Measurement(unit="bytes", point=size_mb * MB, n=1),
            "latency": around("ns", latency_ms * MS),
            "peak_rss": around("bytes", rss_mib * MIB),
        },
    }
    return CaseReport(**{**fields, **known})


def answers(variant: str, wrong: range, n: int = 2000) -> Evaluation:
    """Answers of two classes that are wrong on the examples in `wrong`."""
    labels = [i % 2 for i in range(n)]
    scores = [0.9 if (label == 1) != (i in wrong) else 0.1 for i, label in enumerate(labels)]
    return Evaluation(
        variant=variant,
        sha256="",
        dataset="d",
        split="test",
        fingerprint="f",
        runtime="litert",
        classes=("a", "b"),
        n=n,
        scores=packed_scores(scores),
        labels=packed_labels(labels),
    )


VGG = case("vgg16", 197, 257, 268)
SMALL = case("small-int8", 2.6, 5.7, 40)
GRAY = case("gray-int8", 2.6, 5.1, 40)
SCRATCH = case("scratch", 11.5, 5.2, 62)
CASES = (VGG, SMALL, GRAY, SCRATCH)
# vgg16 errs on 12 of 2,000; the int8 ones on a few more, mostly others; scratch on many.
ANSWERS = (
    answers("vgg16", range(0, 12)),
    answers("small-int8", range(6, 22)),
    answers("gray-int8", range(7, 22)),
    answers("scratch", range(0, 250)),
)


def report(
    cases: tuple[CaseReport, ...] = CASES,
    evaluations: tuple[Evaluation, ...] = ANSWERS,
    budget: str | None = None,
    trained: bool | None = True,
) -> Report:
    """Cases as given, with the accuracy that their answers have."""
    artifacts = [
        Artifact(variant=v, path="", sha256="", size_bytes=1, gzip_bytes=1, trained=trained)
        for v in dict.fromkeys(c.variant for c in cases)
    ]
    found = {e.variant: e for e in evaluations}
    whole = []
    for c in cases:
        evidence = strategies.evidence(
            (), artifact=strategies.artifact(trained=trained), evaluation=found.get(c.variant)
        )
        metrics: Mapping[str, Measurement] = {
            **c.metrics,
            "accuracy": metric_specs.metrics()["accuracy"].extract(evidence),
        }
        whole.append(msgspec.structs.replace(c, metrics=metrics))
    return strategies.report(
        "r",
        *whole,
        artifacts=tuple(artifacts),
        evaluations=evaluations,
        plan=Plan(cases=tuple(c.case for c in cases), budget=budget),
    )


def verdict(*args: Any, **known: Any) -> Verdict:
    found = judge(report(*args, **known), SPECS)
    assert found is not None
    return found


def test_what_was_given_up_makes_no_verdict_undecided_and_is_told() -> None:
    """vgg16 is slow and stopped after 500 images, when scratch had lost 4 points on them."""
    plan = (250, 500, 1000, 1500, 2000)
    slow = msgspec.structs.replace(answers("vgg16", range(10), 500), of=2000, looks=plan)
    found = verdict((VGG, SCRATCH), (slow, answers("scratch", range(480, 520))))
    assert found.decision == "undecided"  # 2 points, about as many as are allowed
    found = verdict((VGG, SCRATCH), (slow, answers("scratch", range(470, 560))))
    assert (found.decision, found.recommended) == ("recommended", "vgg16")
    assert found.notes == (
        "scratch costs less and lost 4 points on the first 500 test images; the chance that all "
        "2,000 would show that it loses no more than 2 points was below 5 %, so vgg16 stopped "
        "answering",
    )


# --- a recommendation ------------------------------------------------------------------------


def test_at_equal_accuracy_the_cheapest_is_recommended_with_its_reason() -> None:
    found = verdict()
    assert found.recommended == "gray-int8"
    assert found.reason == (
        "gray-int8: loses at most 0.65 points of accuracy, with 95 % confidence; 76x smaller and "
        "50x faster than vgg16; accuracy 0.993 (0.988-0.995) against vgg16's 0.994"
    )
    assert found.runner_up == "small-int8"
    assert found.runner_up_reason == (
        "small-int8: 12 % slower; loses at most 0.69 points of accuracy; accuracy 0.992 against "
        "0.993"
    )
    assert found.outcome is None
    assert found.notes == ()
    assert (found.decision, found.candidate, found.margin) == ("recommended", None, 0.02)
    assert found.losses["gray-int8"].bound < 0.0065 < found.losses["small-int8"].bound
    # small-int8 is nowhere better than gray-int8; scratch likewise.
    assert found.pareto == (VGG.case.id, GRAY.case.id)


def test_a_clear_loss_of_accuracy_is_not_equal() -> None:
    found = verdict((VGG, SCRATCH))
    assert found.recommended == "vgg16"
    assert found.reason == (
        "vgg16: no other has more accuracy, with 95 % confidence; nothing that keeps as much costs "
        "less; accuracy 0.994 (0.990-0.997), the highest"
    )
    assert found.runner_up is None  # scratch is shown to lose more


def test_what_was_not_measured_is_no_best_to_lose_against() -> None:
    """A float parent answers too, so that its child can be held against it."""
    assert {e.variant for e in ANSWERS} > {"scratch"}
    found = verdict((SCRATCH,), budget="size<=1GB")
    assert (found.recommended, set(found.losses)) == ("scratch", {"scratch"})


def test_what_keeps_the_budget_and_loses_too_much_is_refused() -> None:
    found = verdict((VGG, SCRATCH), budget="size<=20MB,latency<=1s")
    assert (found.recommended, found.outcome, found.runner_up) == (None, "met", None)
    assert found.decision == "refused"
    assert found.reason == (
        "no recommendation: everything that keeps the budgets loses more than 2 points of "
        "accuracy; scratch loses least, at least 10 points"
    )
    assert found.budgets[0].outcomes == {VGG.case.id: "missed", SCRATCH.case.id: "met"}
    assert found.devices[0].feasible == (SCRATCH.case.id,)


def test_what_is_met_goes_before_what_is_undecided() -> None:
    found = verdict(budget="latency<=5.12ms")
    assert (found.candidate, found.outcome) == ("gray-int8", "undecided")
    assert (found.recommended, found.decision) == (None, "undecided")
    assert found.reason.endswith("; latency<=5.12ms is undecided at 5.10 ms (5.05 ms to 5.15 ms)")
    assert verdict(budget="latency<=5.3ms").outcome == "met"
    both = verdict((SMALL, GRAY), ANSWERS[1:3], budget="latency<=5.71ms")
    assert (both.recommended, both.runner_up, both.outcome) == ("gray-int8", None, "met")


def test_nothing_feasible_names_the_nearest_and_what_to_relax() -> None:
    found = verdict(budget="size<=1MB,latency<=6ms,accuracy>=0.9")
    assert (found.recommended, found.outcome) == (None, "missed")
    assert found.reason == (
        "no variant keeps every budget; nearest is gray-int8, which misses size<=1MB with 2.60 MB; "
        "relax to size<=2.6MB"
    )
    assert found.notes == ()
    each = verdict(budget="size<=2.5MB,accuracy>=0.999")
    assert each.reason.startswith("no variant keeps every budget; nearest is gray-int8, which")
    assert each.notes == (
        "no variant keeps accuracy>=0.999; nearest is vgg16 with 0.994 (0.990-0.997)",
    )
    assert verdict(budget="size<=2.6MB,latency<=6ms,accuracy>=0.9").outcome == "met"


def test_a_budget_on_something_that_was_not_measured_is_not_met() -> None:
    found = verdict(budget="size<=10MB,latency_p99<=1s")
    assert (found.recommended, found.outcome) == (None, "missed")
    assert found.reason == "no variant keeps every budget: latency_p99<=1s cannot be judged"
    assert found.notes == ()
    assert set(found.budgets[1].unknown.values()) == {"not measured"}
    # Case by case it says what the whole says.
    assert set(found.budgets[1].outcomes.values()) == {"missed"}


# --- what is not known -----------------------------------------------------------------------


def test_untrained_artifacts_get_a_front_and_no_recommendation() -> None:
    found = verdict(evaluations=(), trained=False)
    assert found.recommended is None
    assert found.reason == (
        "no recommendation: the accuracy of what was measured is not known (untrained)"
    )
    assert found.devices[0].pareto_on == ("size", "latency", "peak_rss")
    assert found.pareto == (GRAY.case.id,)


def test_answers_of_an_untrained_artifact_do_not_count() -> None:
    assert verdict(trained=False).recommended is None


def test_untrained_artifacts_can_keep_budgets() -> None:
    found = verdict(evaluations=(), trained=False, budget="size<=3MB")
    assert (found.recommended, found.outcome) == (None, "met")
    assert found.reason.startswith(
        "no recommendation: small-int8 and gray-int8 keep every budget, but the accuracy of what "
        "was measured is not known"
    )
    one = verdict(evaluations=(), trained=False, budget="size<=2.7MB,latency<=5.3ms")
    assert ": gray-int8 keeps every budget, but the accuracy" in one.reason
    open_ = verdict(evaluations=(), trained=False, budget="latency<=5.12ms")
    assert open_.outcome == "undecided"
    assert ": gray-int8 may keep every budget, but the accuracy" in open_.reason
    unknown = verdict(evaluations=(), trained=False, budget="accuracy>=0.5")
    assert unknown.outcome == "missed"
    assert unknown.reason == "no variant keeps every budget: accuracy>=0.5 cannot be judged"
    assert set(unknown.budgets[0].unknown.values()) == {"untrained: its answers are meaningless"}


def test_one_that_was_not_evaluated_is_not_recommended_and_named() -> None:
    found = verdict(evaluations=ANSWERS[:2])
    assert found.recommended == "small-int8"
    assert "the accuracy of gray-int8 and scratch is not known (no labelled images)" in found.notes
    assert GRAY.case.id not in found.pareto


def test_answers_to_other_images_are_not_compared() -> None:
    other = msgspec.structs.replace(ANSWERS[2], fingerprint="g")
    found = verdict(evaluations=(ANSWERS[0], ANSWERS[1], other, ANSWERS[3]))
    assert found.recommended == "small-int8"


def test_without_vgg16_the_largest_file_is_what_others_are_compared_with() -> None:
    big = msgspec.structs.replace(VGG, variant="resnet")
    found = verdict((big, GRAY, SCRATCH), (answers("resnet", range(12)), *ANSWERS[2:]))
    assert "76x smaller and 50x faster than resnet" in found.reason


@pytest.mark.parametrize("status", ["failed", "invalid"])
def test_cases_without_usable_numbers_take_no_part(status: str) -> None:
    out = msgspec.structs.replace(GRAY, status=status)
    found = verdict((VGG, SMALL, out), budget="size<=10MB")
    assert found.recommended == "small-int8"
    assert "not considered, because failed or invalid: gray-int8" in found.notes
    nobody = verdict(tuple(msgspec.structs.replace(c, status=status) for c in CASES))
    assert nobody.reason == "no recommendation: no case could be measured"
    gated = verdict((out,), budget="size<=10MB")
    assert gated.outcome == "missed"


def test_a_suspect_case_may_be_recommended_and_it_is_said() -> None:
    doubt = Finding(level="serious", code="drift", message="it drifts")
    found = verdict((VGG, msgspec.structs.replace(GRAY, status="suspect", findings=(doubt,))))
    assert found.recommended == "gray-int8"
    assert "gray-int8 is suspect (drift): see the findings" in found.notes


def test_there_is_nothing_to_choose_from_one_or_none() -> None:
    assert judge(report(()), SPECS) is None
    assert judge(report((VGG,)), SPECS) is None
    one = judge(report((VGG,), budget="size<=1GB"), SPECS)
    assert one is not None
    assert one.reason == "vgg16: the only one that took part; accuracy 0.994 (0.990-0.997)"


def test_without_times_instructions_stand_for_them() -> None:
    def counted(c: CaseReport, count: float) -> CaseReport:
        metrics = {
            "size": c.metrics["size"],
            "instructions": Measurement(unit="count", point=count, n=1),
            "latency": Measurement(unit="ns", point=None, absent_because="tells no time"),
        }
        return msgspec.structs.replace(c, metrics=metrics)

    found = verdict((counted(VGG, 8e9), counted(GRAY, 63e6)))
    assert "; 76x smaller and 127x fewer instructions than vgg16; " in found.reason


# --- several settings and devices -------------------------------------------------------------


def elsewhere(c: CaseReport, factor: float, **known: Any) -> CaseReport:
    latency = around("ns", (c.metrics["latency"].point or 0) * factor)
    return msgspec.structs.replace(c, metrics={**c.metrics, "latency": latency}, **known)


def test_a_setting_is_part_of_the_choice() -> None:
    two = tuple(elsewhere(c, 0.6, threads=2) for c in CASES)
    found = verdict((*CASES, *two))
    assert found.recommended == two[2].case.id
    assert found.runner_up == two[1].case.id
    assert "50x faster than vgg16" in found.reason  # at two threads as well


def test_devices_that_agree_give_one_recommendation() -> None:
    phone = tuple(elsewhere(c, 3, device="phone") for c in CASES)
    found = verdict((*CASES, *phone))
    assert found.recommended == "gray-int8"
    assert found.reason.startswith("on host: loses at most 0.65 points of accuracy")
    assert [note.partition("; ")[0] for note in found.notes[:3]] == [
        "on host: runner-up small-int8: 12 % slower",
        "on phone: gray-int8: loses at most 0.65 points of accuracy, with 95 % confidence",
        "on phone: runner-up small-int8: 12 % slower",
    ]
    assert [d.recommended for d in found.devices] == ["gray-int8", "gray-int8"]


def test_devices_that_differ_speak_for_themselves() -> None:
    phone = (
        elsewhere(VGG, 1, device="phone"),
        elsewhere(SMALL, 0.2, device="phone"),
        elsewhere(GRAY, 1, device="phone"),
    )
    found = verdict((VGG, SMALL, GRAY, *phone), budget="latency<=4ms")
    assert [d.outcome for d in found.devices] == ["missed", "met"]
    assert found.outcome == "missed"
    assert found.recommended == phone[1].case.id
    assert found.notes[0].startswith("on host: no variant keeps every budget")


# --- exit status -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "strict", "code"),
    [
        (None, True, 0),
        ("latency<=6ms", True, 0),
        ("latency<=5.12ms", False, 0),
        ("latency<=5.12ms", True, 4),
        ("latency<=1ms", False, 1),
    ],
)
def test_the_exit_status_says_how_the_budgets_stand(
    budget: str | None, strict: bool, code: int
) -> None:
    judged = report(budget=budget)
    judged = msgspec.structs.replace(judged, verdict=judge(judged, SPECS))
    assert gate.verdict_exit_code(judged, strict=strict) == code


# --- what is not proven -------------------------------------------------------------------------

FEW = (answers("vgg16", range(2), 60), answers("gray-int8", range(1, 3), 60))
SOME = (answers("vgg16", range(12), 400), answers("gray-int8", range(7, 22), 400))


def test_a_few_images_prove_nothing_and_give_a_candidate() -> None:
    found = verdict((VGG, GRAY), FEW)
    assert (found.decision, found.recommended, found.runner_up) == ("undecided", None, None)
    assert found.candidate == "gray-int8"
    assert found.reason == (
        "gray-int8: may lose up to 6 points of accuracy, more than the 2 points allowed; if it "
        "loses nothing, 270 to 1,900 test images decide; 60 are too few for a closer number; "
        "it is recommended now with --max-accuracy-loss 6%"
    )
    assert found.images is not None and found.images.images is None
    assert found.recommended_at == pytest.approx(0.06, abs=0.001)


def test_with_the_margin_that_it_names_the_candidate_is_recommended() -> None:
    undecided = verdict((VGG, GRAY), SOME)
    assert undecided.candidate == "gray-int8" and undecided.recommended_at is not None
    whole = report((VGG, GRAY), SOME)
    plan = msgspec.structs.replace(whole.plan, max_accuracy_loss=undecided.recommended_at)
    wider = judge(msgspec.structs.replace(whole, plan=plan), SPECS)
    assert wider is not None and wider.recommended == "gray-int8"
    plan = msgspec.structs.replace(whole.plan, max_accuracy_loss=undecided.recommended_at * 0.99)
    narrower = judge(msgspec.structs.replace(whole, plan=plan), SPECS)
    assert narrower is not None and narrower.recommended is None


def test_that_only_the_most_accurate_keeps_the_accuracy_is_undecided_and_said() -> None:
    found = verdict((VGG, GRAY), SOME)
    assert found.decision == "undecided"
    assert "only vgg16 is shown to lose no more than 2 points" in found.notes
    assert found.images is not None and found.images.images is not None


def test_a_cheaper_one_that_is_open_is_told_beside_the_star() -> None:
    """gray-int8 keeps the accuracy; the cheaper one lost 1.6 points, and that may be too much."""
    cheap = case("tiny", 0.5, 1.0, 20)
    found = verdict((*CASES, cheap), (*ANSWERS, answers("tiny", range(0, 40))))
    assert found.recommended == "gray-int8"
    assert any(n.startswith("tiny costs less and may lose up to 2.") for n in found.notes)


def test_what_the_user_prefers_decides_who_is_cheapest() -> None:
    small = case("small-slow", 1.0, 90, 40)
    whole = report((*CASES, small), (*ANSWERS, answers("small-slow", range(0, 12))))
    chosen = {}
    for prefer in ("balanced", "size", "latency"):
        plan = msgspec.structs.replace(whole.plan, prefer=prefer)
        found = judge(msgspec.structs.replace(whole, plan=plan), SPECS)
        chosen[prefer] = found and found.recommended
    assert chosen == {"balanced": "gray-int8", "size": "small-slow", "latency": "gray-int8"}


def test_where_no_cost_tells_two_apart_they_are_as_cheap() -> None:
    twin = msgspec.structs.replace(GRAY, variant="twin")
    found = verdict((VGG, GRAY, twin), (*ANSWERS, answers("twin", range(7, 22))))
    assert found.reason.endswith("; twin is as cheap")


def test_the_recall_of_a_class_can_be_what_is_protected() -> None:
    """All that gray-int8 loses is of class b."""
    whole = report((VGG, GRAY), (ANSWERS[0], answers("gray-int8", range(1, 60, 2))))
    reasons = {}
    for protect in ("accuracy", "recall:a", "recall:b", "balanced_accuracy"):
        plan = msgspec.structs.replace(whole.plan, protect=protect)
        found = judge(msgspec.structs.replace(whole, plan=plan), SPECS)
        assert found is not None
        reasons[protect] = (found.decision, found.losses["gray-int8"].n)
    assert reasons["recall:a"] == ("recommended", 1000)
    assert reasons["recall:b"] == ("undecided", 1000)
    assert reasons["accuracy"] == ("recommended", 2000)


def test_an_undecided_verdict_is_4_with_strict_and_needs_no_budget() -> None:
    whole = report((VGG, GRAY), FEW)
    whole = msgspec.structs.replace(whole, verdict=judge(whole, SPECS))
    assert gate.verdict_exit_code(whole, strict=False) == 0
    assert gate.verdict_exit_code(whole, strict=True) == 4


def test_a_verdict_survives_json() -> None:
    judged = report(budget="size<=10MB")
    judged = msgspec.structs.replace(judged, verdict=judge(judged, SPECS))
    assert msgspec.json.decode(msgspec.json.encode(judged), type=Report) == judged
