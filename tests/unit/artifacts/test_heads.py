"""The head on a frozen trunk: right, regularized, and fit to be rounded to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.artifacts.child import heads
from harness.artifacts.child.heads import solve
from harness.artifacts.child.transfer import choose


def blobs(classes: int, n: int, seed: int, features: int = 12) -> tuple[Any, Any]:
    """Features around one centre for each class, and labels."""
    centres = np.random.default_rng(99).normal(0, 1.5, (classes, features))
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (centres[labels] + rng.normal(0, 1, (n, features))).astype(np.float32), labels


def said(head: heads.Head, features: Any) -> Any:
    """What the dense layer decides, without any rounding."""
    logits = features.astype(float) @ head.kernel + head.bias
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)


@pytest.mark.parametrize("classes", [2, 5])
def test_tells_the_classes_apart(classes: int) -> None:
    train, validation, test = (blobs(classes, 60 * classes, seed) for seed in range(3))
    head = solve(*train, *validation, classes)
    assert head.kernel.shape == (12, 1 if classes == 2 else classes)
    assert head.kernel.dtype == head.bias.dtype == np.float32
    assert np.mean(said(head, test[0]) == test[1]) > 0.9
    assert np.mean(head.right) == pytest.approx(head.validation_accuracy)
    assert head.validation_loss < 0.3


@pytest.mark.slow
def test_two_classes_are_the_regression_that_statsmodels_finds() -> None:
    """At the penalty it chose the gradient is zero: nothing nearby is better."""
    import statsmodels.api as sm

    features, labels = blobs(2, 400, 0, features=3)
    weights, bias = heads._regression(features.astype(float), labels, 2, 1e-9, None)
    design = sm.add_constant(features.astype(float))
    expected = sm.Logit(labels, design).fit(disp=0).params
    np.testing.assert_allclose([*bias, *weights[:, 0]], expected, rtol=1e-3, atol=1e-3)


def test_the_rare_class_counts_as_much() -> None:
    features, labels = blobs(2, 400, 0, features=1)
    rare = np.flatnonzero((labels == 0) | (np.arange(400) % 40 == 1))
    validation = blobs(2, 400, 1, features=1)
    balanced = solve(features, labels, *validation, 2)
    few = solve(features[rare], labels[rare], *validation, 2)
    threshold = [-head.bias[0] / head.kernel[0, 0] for head in (balanced, few)]
    assert abs(threshold[0] - threshold[1]) < 0.5


def test_features_that_hardly_vary_do_not_break_int8() -> None:
    """Standardized without a floor, such features get weights beside which int8 rounds the others
    to nothing."""
    train, validation, test = (blobs(2, 200, seed) for seed in range(3))

    def with_faint(features: Any, seed: int) -> Any:
        faint = np.random.default_rng(seed).normal(1, 1e-6, (len(features), 30))
        return np.hstack([features, faint]).astype(np.float32)

    inputs = [with_faint(part[0], 5 + k) for k, part in enumerate((train, validation, test))]
    head = solve(inputs[0], train[1], inputs[1], validation[1], 2)

    def as_int8(kernel: Any, bias: Any) -> float:
        low, high = inputs[0].min(), inputs[0].max()
        rounded = heads._rounded_to_8_bits(inputs[2].astype(float), low, high)
        logits = rounded @ heads._weights_of_8_bits(kernel) + bias
        return float(np.mean((logits[:, 0] > 0) == test[1]))

    assert as_int8(head.kernel.astype(float), head.bias) > 0.9
    # and without the floor it would be what the issue was
    mean, deviation = inputs[0].mean(axis=0), inputs[0].std(axis=0)
    weights, bias = heads._regression((inputs[0] - mean) / deviation, train[1], 2, 1e-3, None)
    kernel = weights / deviation[:, np.newaxis]
    assert as_int8(kernel, bias - mean @ kernel) < 0.7


def test_dead_features_weigh_nothing() -> None:
    train, validation = blobs(2, 100, 0), blobs(2, 100, 1)
    dead = [
        np.hstack([part[0], np.full((100, 2), 3.0, np.float32)]) for part in (train, validation)
    ]
    head = solve(dead[0], train[1], dead[1], validation[1], 2)
    assert np.abs(head.kernel[-2:]).max() < 1e-6
    assert np.isfinite(head.kernel).all()


def test_the_same_head_again() -> None:
    train, validation = blobs(3, 90, 0), blobs(3, 90, 1)
    first, second = (solve(*train, *validation, 3) for _ in range(2))
    assert first.kernel.tobytes() == second.kernel.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


# --- where to cut ------------------------------------------------------------------------------


def rows(n: int, **wrong: set[int]) -> dict[str, Any]:
    return {name: np.array([place not in w for place in range(n)]) for name, w in wrong.items()}


def test_the_smallest_cut_that_is_shown_to_keep_the_accuracy() -> None:
    right = rows(400, small=set(range(20)), middle={1, 2}, large={2}, whole={2, 3})
    cut = choose(right, 0.02)
    assert (cut.layer, cut.best, cut.images, cut.margin) == ("middle", "large", 400, 0.02)
    assert cut.loss == pytest.approx(1 / 400)
    assert cut.loss < cut.bound <= 0.02
    assert choose(right, 0.10).layer == "small"
    assert choose(right, 0.0).layer == "large"  # nothing is shown to lose nothing


def test_a_small_cut_below_one_that_is_not_shown_to_hold_is_not_chosen() -> None:
    """It may just be lucky: with many cuts one of them will be."""
    right = rows(400, lucky={1, 3}, worse=set(range(30)), middle={1, 2}, whole={2})
    assert choose(right, 0.02).layer == "middle"


@pytest.mark.slow
def test_cuts_that_truly_lose_more_are_seldom_chosen() -> None:
    """17 cuts, of which the smaller half truly lose 2.5 points with a margin of 2."""
    rng = np.random.default_rng(0)
    runs, bad = 300, 0
    for _ in range(runs):
        right = {
            str(layer): rng.random(400) < (0.955 if layer < 9 else 0.98) for layer in range(17)
        }
        bad += int(choose(right, 0.02).layer) < 9
    assert bad / runs <= 0.08


def test_few_images_show_nothing_so_nothing_is_cut_away() -> None:
    right = rows(30, small={1}, whole=set())
    cut = choose(right, 0.02)
    assert cut.layer == cut.best == "whole"
    # the most accurate one, and of equal ones the smallest
    assert choose(rows(30, small=set(), whole=set()), 0.02).layer == "small"


def test_the_choice_is_told() -> None:
    from harness.artifacts.child.main import _about_cut

    right = rows(400, small=set(range(20)), middle={1, 2}, large={2}, whole={2, 3})
    assert _about_cut(choose(right, 0.02)) == (
        "the trunk ends after middle: on the 400 validation images it loses 0.2 points against the "
        "cut after large, and at most 1.2 with 95 % confidence, within 2.0, half of the margin"
    )
