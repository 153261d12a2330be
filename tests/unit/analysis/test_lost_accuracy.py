"""What a gate asks where balanced accuracy or the recall of a class is protected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis import gate, lost_accuracy
from harness.analysis.losses import parse_protect
from harness.commands.ab import sentence_of_accuracy
from harness.core.errors import UsageError
from harness.core.types import CaseReport, Comparison, Evaluation, Measurement, MetricComparison
from harness.renderers.comparison import summary
from harness.stats import paired_loss
from harness.stats.looks import parts
from tests.strategies import case_report, report, steady_launches

# Of 2,000 images every tenth is of a cracked pipe.
LABELS = [int(i % 10 == 0) for i in range(2000)]
CRACKED = range(0, 2000, 10)


def answers(cracked: int, intact: int, **known: Any) -> Evaluation:
    """Wrong on the first so many images of either class."""
    from tests.answers import evaluation

    wrong = {*CRACKED[:cracked], *[i for i, x in enumerate(LABELS) if not x][:intact]}
    scores = [0.9 if (x == 1) != (i in wrong) else 0.1 for i, x in enumerate(LABELS)]
    n = known.pop("n", len(LABELS))
    return evaluation(scores[:n], LABELS[:n], **known)


def measured(found: Evaluation) -> CaseReport:
    from harness.stats import accuracy

    shares = {
        "accuracy": accuracy.accuracy(found.right),
        "balanced_accuracy": accuracy.balanced_accuracy(found.confusion),
    }
    metrics = {
        name: Measurement(
            unit="1", point=e.point, ci_low=e.ci_low, ci_high=e.ci_high, confidence=0.95, n=e.n
        )
        for name, e in shares.items()
        if e is not None
    }
    return case_report(steady_launches(7), variant=found.variant, metrics=metrics)


def compared(before: Evaluation, after: Evaluation, **options: Any) -> Comparison:
    sides = [report("run", measured(e), evaluations=(e,)) for e in (before, after)]
    found = gate.compared(sides[1], sides[0], None, **options).comparison
    assert found is not None
    return found


def judged(found: Comparison, name: str) -> MetricComparison:
    (case,) = found.cases
    (metric,) = [m for m in case.metrics if m.metric == name]
    return metric


# 20 cracked pipes more are missed, 20 false alarms fewer are raised.
BEFORE, AFTER = answers(4, 40), answers(24, 20)


def test_a_missed_crack_is_a_regression_where_recall_is_protected() -> None:
    plain = compared(BEFORE, AFTER)
    assert judged(plain, "accuracy").outcome == "no change"
    found = compared(BEFORE, AFTER, protect="recall:cracked")
    recall = judged(found, "recall:cracked")
    assert (recall.outcome, recall.paired, recall.n) == ("regression", True, 200)
    assert (recall.baseline, recall.candidate) == (0.98, 0.88)
    assert recall.loss is not None
    assert recall.loss.bound == pytest.approx(float(paired_loss.upper(20, 0, 200, 0.05)[0]))
    # It takes the place of accuracy: the question is asked once.
    assert "accuracy" not in {m.metric for m in found.cases[0].metrics}
    assert "2 points of recall of cracked" in summary(found)
    said = sentence_of_accuracy("a", "b", recall)
    assert said.startswith("b loses more recall of cracked than 2 points against a: at least ")
    other = compared(BEFORE, AFTER, protect="recall:intact")
    assert judged(other, "recall:intact").outcome == "no change"


def test_balanced_accuracy_weighs_a_rare_class_as_much() -> None:
    found = judged(compared(BEFORE, AFTER, protect="balanced_accuracy"), "balanced_accuracy")
    assert found.outcome == "regression"
    assert found.loss is not None
    # 10 points of the one class lost and 20 of 1,800 gained of the other, by halves.
    assert found.loss.point == pytest.approx((20 / 200 - 20 / 1800) / 2)
    assert found.loss.at_least > 0.02
    same = judged(compared(BEFORE, BEFORE, protect="balanced_accuracy"), "balanced_accuracy")
    assert (same.outcome, same.loss and same.loss.point) == ("no change", 0)


@pytest.mark.parametrize("cracked", [8, 12, 16, 20])
def test_the_p_of_balanced_accuracy_agrees_with_its_limits(cracked: int) -> None:
    protected = parse_protect("balanced_accuracy")
    found = lost_accuracy.paired(BEFORE, answers(cracked, 40), 0.02, protected=protected)
    assert found is not None
    assert (found.p_lost < 0.05) == (found.loss.at_least > 0.02)
    at_level = lost_accuracy.paired(
        BEFORE, answers(cracked, 40), 0.02, 1 - found.p_lost, protected=protected
    )
    if found.p_lost < 0.5:
        assert at_level is not None
        assert at_level.loss.at_least == pytest.approx(0.02, abs=1e-5)


def test_what_the_run_protects_is_what_its_gate_asks_for() -> None:
    sides = [report("run", measured(e), evaluations=(e,)) for e in (BEFORE, AFTER)]
    plan = msgspec.structs.replace(sides[1].plan, protect="recall:cracked")
    found = gate.compared(msgspec.structs.replace(sides[1], plan=plan), sides[0], None).comparison
    assert found is not None and found.outcome == "regression"
    assert judged(found, "recall:cracked").outcome == "regression"


def test_a_class_that_no_image_has_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UsageError, match="recall:crackd: the images have no such class") as caught:
        compared(BEFORE, AFTER, protect="recall:crackd")
    assert "cracked" in caught.value.fix


def test_a_baseline_without_the_class_is_named() -> None:
    before = answers(4, 40, classes=("intact", "rusty"), fingerprint="other")
    found = compared(before, AFTER, protect="recall:cracked")
    assert [f.message for f in found.cases[0].findings if f.code == "metric-absent"] == [
        "recall of cracked was not compared: the baseline has none"
    ]
    assert not {"accuracy", "recall:cracked"} & {m.metric for m in found.cases[0].metrics}


def test_recall_on_other_images_is_compared_by_intervals() -> None:
    after = msgspec.structs.replace(AFTER, fingerprint="other")
    recall = judged(compared(BEFORE, after, protect="recall:cracked"), "recall:cracked")
    assert (recall.outcome, recall.paired, recall.n) == ("regression", False, 200)


def test_one_that_stopped_is_compared_on_what_both_answered() -> None:
    looks = (500, 1000, 1500, 2000)
    after = answers(12, 20, n=500, of=2000, looks=looks)
    found = judged(compared(BEFORE, after), "accuracy")
    assert (found.paired, found.n) == (True, 500)
    pairs = list(zip(BEFORE.right[:500], after.right, strict=True))
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    part = parts(looks, 0.05)[0]
    assert found.loss is not None
    assert found.loss.bound == pytest.approx(float(paired_loss.upper(lost, gained, 500, part)[0]))
