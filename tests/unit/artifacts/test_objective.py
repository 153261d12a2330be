"""The loss against numbers worked out by hand, batches, class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.artifacts.child.batches import Examples, class_weights, fitted, shuffled
from harness.artifacts.child.objective import judge, objective
from harness.core.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore")
imports_tensorflow = pytest.mark.slow


def of(loss: Any, targets: list[list[float]], outputs: list[list[float]]) -> Any:
    return loss(np.array(targets, np.float32), np.array(outputs, np.float32)).numpy()


@imports_tensorflow
def test_two_classes_are_one_sigmoid() -> None:
    losses = of(objective(2, 0.0, 1.0), [[0], [1]], [[0.25], [0.25]])
    np.testing.assert_allclose(losses, [-np.log(0.75), -np.log(0.25)], rtol=1e-5)


@imports_tensorflow
def test_three_classes_are_a_softmax() -> None:
    losses = of(objective(3, 0.0, 1.0), [[2]], [[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(losses, [-np.log(0.5)], rtol=1e-5)


@imports_tensorflow
def test_teacher_of_another_mind_costs_and_softly() -> None:
    """Student 0.5 everywhere, so its softened answer is 0.5 too: the cross-entropy is log 2 at
    any temperature, times the temperature squared."""
    losses = of(objective(2, 1.0, 3.0), [[1, 0.9]], [[0.5]])
    np.testing.assert_allclose(losses, [9 * np.log(2)], rtol=1e-5)
    # Teacher and student agree on 0.8: softened by 2, 0.8 becomes 2/3, since sqrt(4) = 2.
    losses = of(objective(2, 0.5, 2.0), [[1, 0.8]], [[0.8]])
    soft = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    np.testing.assert_allclose(losses, [0.5 * -np.log(0.8) + 0.5 * 4 * soft], rtol=1e-4)


def test_judge_counts_classes_alike() -> None:
    outputs = np.array([[0.1], [0.1], [0.1], [0.1]])
    loss, accuracy = judge(outputs, np.array([0, 0, 0, 1]))
    assert loss == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)
    assert accuracy == 0.75


def test_class_weights() -> None:
    np.testing.assert_allclose(class_weights(np.array([0, 0, 0, 2]), 3), [4 / 6, 0, 2.0])


def images(count: int, side: int = 8) -> Any:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side)).astype(np.uint8)


def test_an_epoch_is_every_example_once_and_the_same_again() -> None:
    examples = Examples(images(10), np.arange(10) % 2)
    epochs = [
        list(shuffled(examples, (None, 8, 8, 1), size=4, key=key, flips=True))
        for key in ((0, 1, 0), (0, 1, 0), (0, 1, 1))
    ]
    assert sorted(np.concatenate([chosen for _, _, chosen in epochs[0]])) == list(range(10))
    for (first, _, order), (again, _, same) in zip(epochs[0], epochs[1], strict=True):
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(order, same)
    assert any((a[2] != b[2]).any() for a, b in zip(epochs[0], epochs[2], strict=True))


def test_flips_keep_the_pixels_and_move_them() -> None:
    examples = Examples(images(32), np.zeros(32, np.int64))
    ((seen, _, chosen),) = shuffled(examples, (None, 8, 8, 1), size=32, key=(0,), flips=True)
    plain = examples.inputs[chosen][..., None]
    np.testing.assert_array_equal(np.sort(seen, axis=None), np.sort(plain, axis=None))
    moved = (seen != plain).any(axis=(1, 2, 3))
    assert 16 < moved.sum() < 32  # seven of eight forms differ


@imports_tensorflow
def test_images_are_fitted_to_the_network() -> None:
    assert fitted(images(2), (None, 4, 6, 3)).shape == (2, 4, 6, 3)
    np.testing.assert_array_equal(fitted(images(2), (None, 8, 8, 1))[..., 0], images(2))
    with pytest.raises(UsageError, match=r"has the shape \(None, 10\)"):
        fitted(images(2), (None, 10))
