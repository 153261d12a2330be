"""Losses against the best of several variants: known constants, laws, and a simulation in which
the truth is known."""

from __future__ import annotations

import random
from statistics import NormalDist

import numpy as np
import pytest

from harness.stats import paired_loss
from harness.stats.enough_images import excludable, images, needed
from harness.stats.looks import parts
from harness.stats.with_the_best import Counts, dunnett, losses, pairwise
from tests.lazily import Lazily

stats = Lazily("scipy.stats")


# Dunnett, JASA 50 (1955), table 1a, infinite degrees of freedom: one-sided, joint P = 0.95.
@pytest.mark.parametrize(("m", "z"), [(1, 1.64), (2, 1.92), (4, 2.16), (6, 2.29), (9, 2.42)])
def test_dunnetts_constants_as_published(m: int, z: float) -> None:
    assert NormalDist().inv_cdf(1 - dunnett(m, 0.5)) == pytest.approx(z, abs=0.006)


@pytest.mark.parametrize("m", [2, 4, 12])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
def test_the_level_is_what_scipy_says_of_all_together(m: int, correlation: float) -> None:
    z = NormalDist().inv_cdf(1 - dunnett(m, correlation))
    matrix = np.full((m, m), correlation) + np.eye(m) * (1 - correlation)
    joint = stats.multivariate_normal.cdf(np.full(m, z), cov=matrix, abseps=1e-6, maxpts=10**6)
    assert joint == pytest.approx(0.95, abs=2e-4)


def _answers(rng: random.Random, n: int, errors: list[float]) -> list[list[bool]]:
    return [[rng.random() >= e for _ in range(n)] for e in errors]


def test_two_variants_are_one_comparison() -> None:
    first, second = [True] * 90 + [False] * 10, [True] * 85 + [False] * 5 + [True] * 3 + [False] * 7
    best, other = losses([first, second])
    assert (best.point, other.point) == pytest.approx((0, 0.02))
    assert other.bound == pytest.approx(paired_loss.upper(5, 3, 100, 0.05)[0])
    assert best.bound == pytest.approx(max(0.0, paired_loss.upper(3, 5, 100, 0.05)[0]))


def test_one_variant_loses_nothing() -> None:
    (only,) = losses([[True, False]])
    assert (only.point, only.bound, only.at_least) == (0, 0, 0)


def test_the_same_answers_twice_do_not_change_the_level() -> None:
    """Two variants that answer alike are one comparison: the correlation tells that."""
    rng = random.Random(3)
    best, other = _answers(rng, 3000, [0.05, 0.06])
    alone, together = losses([best, other])[1].bound, losses([best, other, other, other])[1].bound
    assert alone <= together <= alone * 1.05


def test_the_order_of_variants_does_not_matter() -> None:
    rng = random.Random(1)
    right = _answers(rng, 200, [0.05, 0.08, 0.12, 0.06])
    assert losses(right)[::-1] == losses(right[::-1])


def test_a_clear_loss_is_shown_from_below_too() -> None:
    rng = random.Random(2)
    good, bad = losses(_answers(rng, 1000, [0.02, 0.2]))
    assert good.at_least == 0 and good.bound == 0
    assert 0.12 < bad.at_least < bad.point < bad.bound < 0.24


def test_of_one_class_balanced_accuracy_is_accuracy() -> None:
    rng = random.Random(4)
    right = _answers(rng, 300, [0.05, 0.08, 0.12])
    assert losses(right, [7] * 300) == losses(right)


def test_balanced_accuracy_weighs_classes_not_images() -> None:
    """All ten images of the rare class are lost, of ninety others none: half the recall."""
    labels = [0] * 90 + [1] * 10
    found = losses([[True] * 100, [True] * 90 + [False] * 10], labels)[1]
    assert found.point == pytest.approx(0.5)
    assert found.at_least > 0.15
    assert losses([[True] * 100, [True] * 90 + [False] * 10])[1].point == pytest.approx(0.1)


@pytest.mark.parametrize("rare", [0, 50])
def test_all_bounds_hold_together_in_19_of_20_runs(rare: int) -> None:
    """`rare` of the images are of a second class; then it is balanced accuracy that is lost."""
    rng = np.random.default_rng(5)
    errors, runs, n = np.array([0.05, 0.07, 0.07, 0.07]), 800, 250
    shared = rng.random((runs, n, 1)) < 0.5
    draws = np.where(shared, rng.random((runs, n, 1)), rng.random((runs, n, 4)))
    right = (draws >= errors).astype(float)
    classes = [part for part in (right[:, rare:], right[:, :rare]) if part.shape[1]]
    both = Counts([c.swapaxes(1, 2) @ c for c in classes], [c.shape[1] for c in classes])
    found, true = pairwise(both), errors - errors.min()
    too_low, too_high = found.above.max(axis=1) < true, found.below.max(axis=1) > true + 1e-12
    wrong = (too_low | too_high).any(axis=1)
    assert wrong.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


# --- how many images ---------------------------------------------------------------------------


def test_without_a_difference_the_images_are_the_exact_ones() -> None:
    """(1 - 0.02) ** 154 is the first power below 0.05 / 1.11."""
    assert images(0.0, 0.02) == 154


def test_more_images_for_a_smaller_margin_more_discordance_or_more_variants() -> None:
    base = images(0.04, 0.02)
    assert base is not None
    for more in (images(0.04, 0.01), images(0.08, 0.02), images(0.04, 0.02, 0.0154, 4)):
        assert more is not None and more > 1.5 * base


def test_what_so_many_images_exclude_is_the_margin_that_asks_for_them() -> None:
    for margin in (0.01, 0.02, 0.05):
        n = images(0.04, margin)
        assert n is not None
        assert excludable(n, 0.04) == pytest.approx(margin, rel=0.08)


def test_few_images_tell_little_about_the_discordance() -> None:
    few, many = needed(3, 60, 0.02), needed(150, 3000, 0.02)
    assert few.low and few.high and few.high > 5 * few.low
    assert many.low and many.images and many.high and many.low < many.images < many.high
    assert many.high < 1.5 * many.low


def test_no_number_where_a_million_would_not_do() -> None:
    assert images(0.5, 0.0005) is None


# --- looks -------------------------------------------------------------------------------------


def test_looks_spend_all_of_the_error_rate_and_little_early() -> None:
    spent = parts([100, 200, 400])
    assert sum(spent) == pytest.approx(0.05)
    assert spent[0] < spent[1] < spent[2]
    assert parts([400]) == (0.05,)


@pytest.mark.parametrize("looks", [[], [0, 5], [5, 5], [9, 3]])
def test_looks_must_rise(looks: list[int]) -> None:
    with pytest.raises(ValueError, match="rising"):
        parts(looks)
