"""Accuracy against published examples, against counting by hand, and against its own laws."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import accuracy
from harness.stats.mean_auc import mean_auc
from tests.answers import evaluation

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
marks = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
scored = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60)


# --- shares ----------------------------------------------------------------------------------


# Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    found = accuracy.wilson(successes, n)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=5e-5)


@given(counts)
def test_wilson_stays_a_share_and_mirrors(count: tuple[int, int]) -> None:
    successes, n = count
    found, mirror = accuracy.wilson(successes, n), accuracy.wilson(n - successes, n)
    assert 0 <= found.ci_low <= found.point <= found.ci_high <= 1
    assert found.ci_low < found.ci_high
    assert found.ci_low == pytest.approx(1 - mirror.ci_high, abs=1e-12)


def test_no_example_is_no_share() -> None:
    with pytest.raises(ValueError, match="not a share"):
        accuracy.wilson(0, 0)


def test_balanced_accuracy_weighs_classes_not_examples() -> None:
    always_first = accuracy.confusion([0] * 100, [0] * 90 + [1] * 10, 2)
    assert always_first == ((90, 0), (10, 0))
    found = accuracy.balanced_accuracy(always_first)
    assert found is not None
    assert found.point == 0.5
    # One recall cannot be above 1 nor the other below 0, so the reach is one-sided for each.
    sure, none = accuracy.wilson(90, 90), accuracy.wilson(0, 10)
    assert found.ci_low == pytest.approx(0.5 - (1 - sure.ci_low) / 2)
    assert found.ci_high == pytest.approx(0.5 + none.ci_high / 2)


def test_balanced_accuracy_of_one_class_is_its_recall() -> None:
    assert accuracy.balanced_accuracy(((7, 3),)) == accuracy.wilson(7, 10)
    assert accuracy.balanced_accuracy(((7, 3), (0, 0))) is None


# --- ranking ---------------------------------------------------------------------------------


@given(scored)
def test_auc_is_the_share_of_pairs_in_order(examples: list[tuple[int, bool]]) -> None:
    scores, positive = [float(s) for s, _ in examples], [p for _, p in examples]
    found = accuracy.auc(scores, positive)
    above = [s for s, p in examples if p]
    below = [s for s, p in examples if not p]
    if not above or not below:
        assert found is None
        return
    pairs = list(itertools.product(above, below))
    assert found is not None
    assert found.point == pytest.approx(sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs))
    assert 0 <= found.ci_low <= found.point <= found.ci_high <= 1
    assert found.ci_low < found.ci_high


def test_a_perfect_order_of_few_is_no_certainty() -> None:
    few = accuracy.auc([1, 2, 3, 4], [False, False, True, True])
    many = accuracy.auc([0.1] * 50 + [0.9] * 50, [False] * 50 + [True] * 50)
    assert few is not None
    assert many is not None
    assert few.point == many.point == few.ci_high == 1
    assert few.ci_low < 0.5 < 0.95 < many.ci_low < 1


def test_the_interval_of_the_auc_covers() -> None:
    """Normal scores a standard deviation apart: the true area is Phi(1 / sqrt 2) = 0.760."""
    rng, truth, covered = random.Random(1), 0.7602, 0
    positive = [True] * 40 + [False] * 40
    for _ in range(400):
        found = accuracy.auc([rng.gauss(1.0 if p else 0.0, 1) for p in positive], positive)
        covered += found is not None and found.ci_low <= truth <= found.ci_high
    assert 0.92 <= covered / 400 <= 0.985


def test_auc_of_three_classes_is_the_mean_of_each_against_the_rest() -> None:
    rows = [(0.8, 0.1, 0.1), (0.2, 0.7, 0.1), (0.3, 0.3, 0.4), (0.1, 0.6, 0.3)]
    found = mean_auc(rows, [0, 1, 2, 1], 3)
    assert found is not None
    assert found.point == found.ci_high == 1
    assert found.ci_low < 0.6  # four images in the right order are no certainty
    assert mean_auc(rows, [0, 1, 1, 1], 3) is None


def _three_classes(each: int, rng: np.random.Generator) -> tuple[list[list[float]], list[int]]:
    truth = [k for k in range(3) for _ in range(each)]
    scores = rng.normal(size=(len(truth), 3))
    scores[range(len(truth)), truth] += 1.5
    return scores.tolist(), truth


def test_the_mean_areas_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Areas against the rest of the same images err together; as if they did not, 85 % would."""
    rng, covered = np.random.default_rng(1), 0
    many = mean_auc(*_three_classes(5_000, rng), 3)
    assert many is not None
    assert many.ci_high - many.ci_low < 0.01
    for _ in range(200):
        found = mean_auc(*_three_classes(20, rng), 3)
        covered += found is not None and found.ci_low <= many.point <= found.ci_high
    assert 0.92 <= covered / 200 <= 0.985


def test_the_mean_areas_interval_does_not_depend_on_the_order_of_the_images() -> None:
    rows, truth = _three_classes(30, np.random.default_rng(2))
    found, turned = mean_auc(rows, truth, 3), mean_auc(rows[::-1], truth[::-1], 3)
    assert found is not None
    assert turned is not None
    assert found == mean_auc(rows, truth, 3)
    assert (turned.point, turned.ci_low) == pytest.approx((found.point, found.ci_low), abs=0.01)


# --- probabilities ---------------------------------------------------------------------------


def test_log_loss_by_hand() -> None:
    found = accuracy.log_loss([(0.2, 0.8), (0.9, 0.1)], [1, 1])
    assert found is not None
    assert found.point == pytest.approx(-(math.log(0.8) + math.log(0.1)) / 2)


def test_an_int8_zero_is_punished_within_bounds() -> None:
    found = accuracy.log_loss([(1.0, 0.0)] * 5, [1] * 5, step=1 / 256)
    assert found is not None
    assert found.point == pytest.approx(math.log(512))


def test_calibration_error_by_hand() -> None:
    sure, right = [(0.05, 0.95)] * 20, [1] * 15 + [0] * 5
    assert accuracy.calibration_error(sure, right) == pytest.approx(0.95 - 0.75)
    assert accuracy.calibration_error(sure[:19], right[:19]) is None


@given(st.randoms(use_true_random=False), st.integers(2, 4))
def test_calibration_error_does_not_depend_on_the_order(rng: random.Random, k: int) -> None:
    raw = [[rng.randint(1, 4) for _ in range(k)] for _ in range(40)]
    examples = [([v / sum(row) for v in row], rng.randrange(k)) for row in raw]
    first = accuracy.calibration_error(*zip(*examples, strict=True))
    rng.shuffle(examples)
    again = accuracy.calibration_error(*zip(*examples, strict=True))
    assert first is not None
    assert first == pytest.approx(again)
    assert 0 <= first <= 1


def test_logits_are_no_probabilities() -> None:
    assert accuracy.are_probabilities([(0.3, 0.7), (0.0, 1.0), (0.5, 0.504)])
    assert not accuracy.are_probabilities([(-0.1, 1.1)])
    assert not accuracy.are_probabilities([(0.9, 0.9)])


# --- two on the same examples ----------------------------------------------------------------


def test_mcnemar_is_a_coin_toss() -> None:
    assert accuracy.mcnemar(0, 0) == 1
    assert accuracy.mcnemar(5, 5) == 1
    assert accuracy.mcnemar(0, 6) == 2 / 64
    assert accuracy.mcnemar(9, 1) == pytest.approx(2 * 11 / 1024)
    assert 0 < accuracy.mcnemar(900, 1100) < 1e-4


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_a_probability_and_symmetric(b: int, c: int) -> None:
    assert 0 <= accuracy.mcnemar(b, c) == accuracy.mcnemar(c, b) <= 1


def test_difference_as_published() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 2635-2650, table II, method 10."""
    found = accuracy.difference(36, 12, 2, 0)
    assert found.point == pytest.approx(0.2)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@given(marks)
def test_a_paired_difference_is_the_difference(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found, back = accuracy.paired(first, second), accuracy.paired(second, first)
    assert found.difference.point == pytest.approx((sum(first) - sum(second)) / len(pairs))
    low, high = found.difference.ci_low, found.difference.ci_high
    assert -1 <= low <= found.difference.point <= high <= 1
    assert (low, high) == pytest.approx((-back.difference.ci_high, -back.difference.ci_low))


# --- evaluations -----------------------------------------------------------------------------


def test_one_score_decides_above_one_half() -> None:
    found = evaluation([0.1, 0.5, 0.6], [0, 1, 1])
    assert found.decisions == [0, 0, 1]
    assert found.right == [True, False, True]
    assert found.rows[0] == pytest.approx((0.9, 0.1))


def test_several_scores_decide_by_the_highest() -> None:
    found = evaluation([0.1, 0.2, 0.7, 0.4, 0.4, 0.2], [2, 1])
    assert found.decisions == [2, 0]
    assert found.truth == (2, 1)


def test_agreement_by_hand() -> None:
    parent = evaluation([0.1, 0.2, 0.9, 0.8], [0, 0, 1, 1], variant="parent")
    artifact = evaluation([0.1, 0.7, 0.9, 0.6], [0, 0, 1, 1])
    found = accuracy.agreement(artifact, parent)
    assert found is not None
    assert (found.parent, found.n, found.equal) == ("parent", 4, 3)
    assert found.largest == pytest.approx(0.5)
    assert found.mean == pytest.approx(0.7 / 4)


def test_other_examples_are_not_compared() -> None:
    one = evaluation([0.1, 0.9], [0, 1])
    assert accuracy.agreement(one, evaluation([0.1, 0.9], [0, 1], fingerprint="g")) is None
    assert accuracy.agreement(one, evaluation([0.1, 0.9], [1, 1])) is None
