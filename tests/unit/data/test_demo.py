import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.core.errors import UsageError
from harness.data import demo


def digest(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(labels.tobytes() + images.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def default_set() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return demo.generate(240)


def best_threshold(feature: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Accuracy of the best rule `feature > t`, or its opposite, chosen on the very test data."""
    shares = [float(np.mean((feature > t) == labels)) for t in np.unique(feature)]
    return max(max(share, 1 - share) for share in shares)


def test_every_byte_is_pinned() -> None:
    # The same digests came from numpy 1.26.4 and 2.4.6, with and without AVX. If this test fails
    # by intention, raise demo.VERSION.
    assert digest(*demo.generate(8, difficulty=0.4)) == (
        "e5311b4daad0b236bc6ce7cd1307fa5d658254bb23c7cf0d775b9773d15b2c31"
    )
    assert digest(*demo.generate(8, seed=7, difficulty=1.0, size=96)) == (
        "138966617df35e3bf2fccbcbdf7957b90956a7c5992affb1b978b4a239f3b8fd"
    )
    assert (demo.VERSION, demo.DEFAULT_DIFFICULTY) == (3, 0.8)


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(0, 9),
    more=st.integers(0, 4),
    seed=st.integers(0, 2**64),
    difficulty=st.floats(0, 1),
    size=st.integers(32, 80),
)
def test_a_longer_set_extends_a_shorter_one(
    count: int, more: int, seed: int, difficulty: float, size: int
) -> None:
    images, labels = demo.generate(count, seed=seed, difficulty=difficulty, size=size)
    longer, longer_labels = demo.generate(count + more, seed=seed, difficulty=difficulty, size=size)
    assert images.shape == (count, size, size)
    assert images.dtype == labels.dtype == np.uint8
    assert np.array_equal(images, longer[:count])
    assert np.array_equal(labels, longer_labels[:count])
    assert abs(2 * int(labels.sum()) - count) <= 1


@pytest.mark.slow
def test_another_seed_gives_other_pictures(
    default_set: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    others, _ = demo.generate(4, seed=1)
    for image in others:
        assert not any(np.array_equal(image, known) for known in default_set[0])


@pytest.mark.slow
def test_labels_are_balanced_and_not_alternating(
    default_set: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    _, labels = default_set
    assert labels.sum() == 120
    assert 0.3 < labels[::2].mean() < 0.7


@pytest.mark.slow
def test_no_threshold_on_brightness_tells_the_classes_apart(
    default_set: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    images, labels = default_set
    pixels = images.reshape(len(images), -1).astype(np.float64)
    assert best_threshold(pixels.mean(axis=1), labels) < 0.75
    assert best_threshold(pixels.min(axis=1), labels) < 0.75
    assert best_threshold(pixels.std(axis=1), labels) < 0.75


@pytest.mark.slow
def test_the_classes_can_be_told_apart_by_looking_for_long_dark_lines(
    default_set: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    easy = demo.generate(240, difficulty=0.4)
    assert long_dark_lines(*easy) > 0.95
    assert 0.6 < long_dark_lines(*default_set) < 0.9  # harder, and not impossible


def long_dark_lines(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    # A rule of a few lines, no training: in how many 8-pixel cells is a whole line's worth of
    # pixels far darker than the cell's middle? Pores fill few cells, a crack crosses many.
    cells = images.reshape(-1, 32, 8, 32, 8).transpose(0, 1, 3, 2, 4).reshape(-1, 32, 32, 64)
    cells = np.sort(cells.astype(np.float64), axis=-1)
    roughness = np.median(cells[..., 48] - cells[..., 16], axis=(1, 2), keepdims=True)
    crossed = ((cells[..., 32] - cells[..., 8]) / roughness > 2).sum(axis=(1, 2))
    return best_threshold(crossed.astype(np.float64), labels)


@pytest.mark.parametrize(
    "wrong", [{"difficulty": 1.5}, {"difficulty": float("nan")}, {"seed": -1}, {"size": 8}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="no demo images for"):
        demo.generate(1, **wrong)  # type: ignore[arg-type]
