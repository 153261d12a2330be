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


def answers(variant: str, wrong: range, n: int = 400) -> Evaluation:
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
# vgg16 errs on 12 of 400; the int8 ones on a few more, mostly others; scratch on many.
ANSWERS = (
    answers("vgg16", range(0, 12)),
    answers("small-int8", range(6, 22)),
    answers("gray-int8", range(7, 22)),
    answers("scratch", range(0, 50)),
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


# --- a recommendation ------------------------------------------------------------------------


def test_at_equal_accuracy_the_cheapest_is_recommended_with_its_reason() -> None:
    found = verdict()
    assert found.recommended == "gray-int8"
    assert found.reason == (
        "gray-int8: 76x smaller and 50x faster than vgg16; accuracy 0.963 (0.939-0.977) is not "
        "distinguishable from vgg16's 0.970 (McNemar p = 0.63)"
    )
    assert found.runner_up == "small-int8"
    assert found.runner_up_reason == (
        "small-int8: 12 % slower; accuracy 0.960 against 0.963 (McNemar p = 1)"
    )
    assert found.outcome is None
    assert found.notes == (
        "400 test images cannot rule out that gray-int8 is less accurate than vgg16 by up to "
        "3.0 percentage points",
    )
    # small-int8 is nowhere better than gray-int8; scratch likewise.
    assert found.pareto == (VGG.case.id, GRAY.case.id)


def test_a_clear_loss_of_accuracy_is_not_equal() -> None:
    found = verdict((VGG, SCRATCH))
    assert found.recommended == "vgg16"
    assert found.reason == (
        "vgg16: nothing that is as accurate costs less; accuracy 0.970 (0.948-0.983), the highest"
    )
    assert found.runner_up_reason == (
        "scratch: 17x smaller, 49x faster, 4.3x less memory; accuracy 0.875 against 0.970 "
        "(McNemar p < 0.001)"
    )


def test_a_budget_may_leave_only_the_less_accurate() -> None:
    found = verdict((VGG, SCRATCH), budget="size<=20MB,latency<=1s")
    assert (found.recommended, found.outcome, found.runner_up) == ("scratch", "met", None)
    assert found.reason == (
        "scratch: 17x smaller and 49x faster than vgg16; accuracy 0.875 (0.839-0.904) is below "
        "vgg16's 0.970 (McNemar p < 0.001), which does not keep size<=20MB"
    )
    assert found.budgets[0].outcomes == {VGG.case.id: "missed", SCRATCH.case.id: "met"}
    assert found.devices[0].feasible == (SCRATCH.case.id,)


def test_what_is_met_goes_before_what_is_undecided() -> None:
    found = verdict(budget="latency<=5.12ms")
    assert (found.recommended, found.outcome) == ("gray-int8", "undecided")
    assert found.reason.endswith("; latency<=5.12ms is undecided at 5.10 ms (5.05 ms to 5.15 ms)")
    assert verdict(budget="latency<=5.3ms").outcome == "met"
    both = verdict((SMALL, GRAY), ANSWERS[1:3], budget="latency<=5.71ms")
    assert (both.recommended, both.runner_up, both.outcome) == ("gray-int8", None, "met")


def test_nothing_feasible_names_the_nearest_and_what_to_relax() -> None:
    found = verdict(budget="size<=1MB,latency<=6ms,accuracy>=0.9")
    assert (found.recommended, found.outcome) == (None, "missed")
    assert found.reason == (
        "no variant keeps every budget; nearest is gray-int8, which does not keep size<=1MB with "
        "2.60 MB: relax to size<=2.6MB"
    )
    assert found.notes == ()
    each = verdict(budget="size<=2.5MB,accuracy>=0.99")
    assert each.reason.startswith("no variant keeps every budget; nearest is gray-int8, which")
    assert each.notes == (
        "accuracy>=0.99 is kept by none; nearest is vgg16 with 0.970 (0.948-0.983)",
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
        "no recommendation: nothing is known of the accuracy of what was measured (untrained)"
    )
    assert found.devices[0].pareto_on == ("size", "latency", "peak_rss")
    assert found.pareto == (GRAY.case.id,)


def test_answers_of_an_untrained_artifact_do_not_count() -> None:
    assert verdict(trained=False).recommended is None


def test_untrained_artifacts_can_keep_budgets() -> None:
    found = verdict(evaluations=(), trained=False, budget="size<=3MB")
    assert (found.recommended, found.outcome) == (None, "met")
    assert found.reason.startswith(
        "no recommendation: small-int8 and gray-int8 keep every budget, but nothing is known"
    )
    unknown = verdict(evaluations=(), trained=False, budget="accuracy>=0.5")
    assert unknown.outcome == "missed"
    assert unknown.reason == "no variant keeps every budget: accuracy>=0.5 cannot be judged"
    assert set(unknown.budgets[0].unknown.values()) == {"untrained: its answers mean nothing"}


def test_one_that_was_not_evaluated_is_not_recommended_and_named() -> None:
    found = verdict(evaluations=ANSWERS[:2])
    assert found.recommended == "small-int8"
    assert "no word on the accuracy of gray-int8 and scratch (no labelled images)" in found.notes
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
    assert "took no part, being failed or invalid: gray-int8" in found.notes
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
    assert one.reason == ("vgg16: the only one that took part; accuracy 0.970 (0.948-0.983)")


def test_without_times_instructions_stand_for_them() -> None:
    def counted(c: CaseReport, count: float) -> CaseReport:
        metrics = {
            "size": c.metrics["size"],
            "instructions": Measurement(unit="count", point=count, n=1),
            "latency": Measurement(unit="ns", point=None, absent_because="tells no time"),
        }
        return msgspec.structs.replace(c, metrics=metrics)

    found = verdict((counted(VGG, 8e9), counted(GRAY, 63e6)))
    assert found.reason.startswith("gray-int8: 76x smaller and 127x fewer instructions than vgg16")


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
    assert found.reason.startswith("on host: 76x smaller")
    assert [note.partition("; ")[0] for note in found.notes[:3]] == [
        "on host: runner-up small-int8: 12 % slower",
        "on phone: gray-int8: 76x smaller and 50x faster than vgg16",
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
    assert gate.budget_exit_code(judged, strict=strict) == code


def test_a_verdict_survives_json() -> None:
    judged = report(budget="size<=10MB")
    judged = msgspec.structs.replace(judged, verdict=judge(judged, SPECS))
    assert msgspec.json.decode(msgspec.json.encode(judged), type=Report) == judged
