"""Folders of real image files, opened as `--data` opens them."""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.dataset import SPLITS, Dataset
from harness.data.opening import open_dataset


def picture(number: int, size: tuple[int, int] = (24, 20)) -> Image.Image:
    """A colour picture; each number another one."""
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def fill(folder: Path, numbers: range, end: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture(number).save(folder / f"{number}{end}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, 20 images each."""
    folder = tmp_path / "bricks"
    fill(folder / "cracked", range(20))
    fill(folder / "intact", range(100, 120))
    return folder


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Callable[[], Dataset]:
    return lambda: open_dataset(str(root), tmp_path / "cache")


Opened = Callable[[], Dataset]


def where(data: Dataset) -> dict[str, str]:
    """Digest of each image -> its split and class."""
    return {
        hashlib.sha256(image.tobytes()).hexdigest(): f"{split}/{data.classes[label]}"
        for split in SPLITS
        for image, label in zip(*data.arrays(split), strict=True)
    }


def told(data: Dataset) -> str:
    return "\n".join(data.summary.lines())


def same(first: Dataset, second: Dataset) -> bool:
    for split in SPLITS:
        images, labels = first.arrays(split)
        others, their_labels = second.arrays(split)
        if not np.array_equal(images, others) or not np.array_equal(labels, their_labels):
            return False
    return all(first.fingerprint(split) == second.fingerprint(split) for split in SPLITS)


# --- what it is for ---------------------------------------------------------------------------


def test_a_folder_becomes_arrays(opened: Opened) -> None:
    data = opened()
    assert data.name == "bricks"
    assert data.classes == ("cracked", "intact")
    counts = data.summary.counts
    for split in SPLITS:
        images, labels = data.arrays(split)
        assert images.shape == (len(labels), 256, 256)
        assert [images.dtype, labels.dtype] == ["uint8", "int64"]
        assert np.bincount(labels).tolist() == [counts[name][split] for name in data.classes]
    assert len(where(data)) == data.summary.total == 40
    assert told(data).splitlines() == [
        "bricks: 40 images in 2 classes",
        "  class    train  validation  test  total",
        f"  cracked  {_row(data, 'cracked')}     20",
        f"  intact   {_row(data, 'intact')}     20",
        "split: 70/15/15 by a hash of each image's content, seed 0",
        "colour: 40 of 40 images, shown in grey to models of one channel",
    ]


def _row(data: Dataset, name: str) -> str:
    train, validation, test = (data.summary.counts[name][split] for split in SPLITS)
    return f"{train:5}  {validation:10}  {test:4}"


def test_every_format_and_nested_folders(tmp_path: Path) -> None:
    for place, end in enumerate((".png", ".jpg", ".JPEG", ".bmp", ".webp")):
        fill(tmp_path / "x" / "a" / "deeper", range(place * 10, place * 10 + 4), end)
        fill(tmp_path / "x" / "b", range(500 + place * 10, 504 + place * 10), end)
    fill(tmp_path / "x" / "c" / ".hidden", range(3))
    fill(tmp_path / "x" / "c", range(900, 906))
    data = open_dataset(str(tmp_path / "x"), tmp_path / "cache")
    assert data.classes == ("a", "b", "c")
    assert [sum(data.summary.counts[c].values()) for c in data.classes] == [20, 20, 6]
    assert "imbalance: the largest class has 3.3x the smallest" in told(data)


def test_the_same_folder_elsewhere_is_the_same_data(
    root: Path, opened: Opened, tmp_path: Path
) -> None:
    """Order of creation, names and times play no part."""
    other = tmp_path / "elsewhere" / "bricks"
    files = sorted(root.rglob("*.png"))
    random.Random(0).shuffle(files)
    for number, file in enumerate(files):
        folder = other / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        Image.open(file).save(folder / f"{number:03}.bmp")
    assert same(opened(), open_dataset(str(other), tmp_path / "another cache"))


def test_another_seed_is_another_split(root: Path, opened: Opened, tmp_path: Path) -> None:
    other = open_dataset(str(root), tmp_path / "cache", seed=1)
    assert where(other).keys() == where(opened()).keys()
    assert where(other) != where(opened())
    assert "seed 1" in told(other)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 30), min_size=6), st.sets(st.integers(0, 30)))
@pytest.mark.slow
def test_adding_images_does_not_reshuffle(before: set[int], added: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for number in before:
            fill(scratch / "x" / "a", range(number, number + 1))
            fill(scratch / "x" / "b", range(100 + number, 101 + number))
        first = open_dataset(str(scratch / "x"), scratch / "cache")
        for number in added:
            fill(scratch / "x" / "b", range(100 + number, 101 + number), ".bmp")
        second = open_dataset(str(scratch / "x"), scratch / "cache")
        assert second.summary.copies == len(before & added)
        old, new = where(first), where(second)
        moved = [digest for digest in old if old[digest] != new[digest]]
        helped = [note for data in (first, second) for note in data.summary.notes]
        assert len(moved) <= 2 * len(helped)
        assert helped or not moved


# --- copies -----------------------------------------------------------------------------------


def test_copies_count_once_whatever_their_encoding(root: Path, opened: Opened) -> None:
    before = opened()
    shutil.copy(root / "cracked" / "3.png", root / "cracked" / "again.png")
    picture(4).save(root / "cracked" / "four.bmp")
    picture(5).save(root / "cracked" / "five.webp", lossless=True)
    (root / "intact" / "link.png").symlink_to("100.png")
    after = opened()
    assert same(before, after)
    assert "duplicates: 4 files have the pixels of another, left out" in told(after)


def test_a_copy_in_another_class_is_used_in_neither(root: Path, opened: Opened) -> None:
    before = where(opened())
    picture(7).save(root / "intact" / "cuckoo.bmp")
    after = opened()
    lost = before.keys() - where(after).keys()
    assert len(lost) == 1
    assert where(after).keys() < before.keys()
    line = "the same image in two classes, used in neither (1): cracked/7.png = intact/cuckoo.bmp"
    assert line in told(after)


# --- splits of the folder's own -----------------------------------------------------------------


def test_the_folders_own_split_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "x"
    for place, split in enumerate(("train", "val", "test")):
        fill(root / split / "a", range(place * 10, place * 10 + 5 - place))
        fill(root / split / "b", range(100 + place * 10, 105 + place * 10 - place))
    data = open_dataset(str(root), tmp_path / "cache")
    assert data.classes == ("a", "b")
    assert data.summary.counts["a"] == {"train": 5, "validation": 4, "test": 3}
    line = "split: the folder's own (train from train/, validation from val/, test from test/)"
    assert line in told(data).splitlines()


@pytest.mark.parametrize(
    ("there", "line"),
    [
        (("Train", "Test"), "validation (18 %) taken from Train/ by a hash"),
        (("training", "valid"), "test (18 %) taken from training/ by a hash"),
        (("train",), "validation (15 %) and test (15 %) taken from train/ by a hash"),
    ],
)
def test_what_its_split_lacks_is_taken_from_training(
    tmp_path: Path, there: tuple[str, ...], line: str
) -> None:
    root = tmp_path / "x"
    for place, split in enumerate(there):
        fill(root / split / "a", range(place * 50, place * 50 + 30))
        fill(root / split / "b", range(500 + place * 50, 530 + place * 50))
    data = open_dataset(str(root), tmp_path / "cache")
    assert all(data.summary.count(split) for split in SPLITS)
    assert data.summary.total == 60 * len(there)
    if len(there) == 2:
        assert data.summary.count("test" if there[1] == "Test" else "validation") == 60
    assert line in told(data)


def test_an_image_on_both_sides_of_the_users_split_is_tested_not_learnt(tmp_path: Path) -> None:
    root = tmp_path / "x"
    for place, split in enumerate(("train", "validation", "test")):
        fill(root / split / "a", range(place * 10, place * 10 + 4))
        fill(root / split / "b", range(100 + place * 10, 104 + place * 10))
    picture(21).save(root / "train" / "a" / "leak.bmp")
    picture(101).save(root / "validation" / "b" / "other.png")
    data = open_dataset(str(root), tmp_path / "cache")
    assert data.summary.counts["a"] == {"train": 4, "validation": 4, "test": 4}
    assert data.summary.counts["b"] == {"train": 3, "validation": 5, "test": 4}
    assert "on two sides of the split, used on the later (2): " in told(data)
    assert "test/a/21.png = train/a/leak.bmp" in told(data)


def test_of_many_copies_five_are_named_and_the_rest_are_counted(root: Path, opened: Opened) -> None:
    for number in range(60):
        shutil.copy(root / "cracked/0.png", root / "cracked" / f"copy{number:04}.png")
    shutil.copy(root / "cracked/0.png", root / "intact/again.png")
    assert opened().summary.conflicts == (
        "cracked/0.png = cracked/copy0000.png = cracked/copy0001.png = cracked/copy0002.png = "
        "intact/again.png and 57 more",
    )
