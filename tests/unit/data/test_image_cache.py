"""What is kept between runs, and that nothing stale is ever used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import DataError, UsageError
from harness.data import demo
from harness.data.dataset import SPLITS, Dataset, Split
from harness.data.demo_set import DemoSet
from harness.data.opening import open_dataset
from tests.unit.data.test_folder import fill, picture, same, where

pytestmark = pytest.mark.slow  # each reads a folder of pictures more than once

Opened = Callable[[], Dataset]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "bricks"
    fill(folder / "a", range(10), ".bmp")
    fill(folder / "b", range(100, 110), ".bmp")
    return folder


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Opened:
    return lambda: open_dataset(str(root), tmp_path / "cache")


COUNT_OPENED = """
import sys
from pathlib import Path
from harness.data.opening import open_dataset
opened, started = [], []
def hook(event, arguments):
    if event == "subprocess.Popen":
        started.append(arguments)
    if event == "open" and str(arguments[0]).startswith(sys.argv[1]):
        opened.append(arguments[0])
sys.addaudithook(hook)
data = open_dataset(sys.argv[1], Path(sys.argv[2]))
images, _ = data.arrays("train")
print(len(opened), bool(started), "PIL.Image" in sys.modules)
"""


def test_a_second_run_opens_no_image(root: Path, tmp_path: Path) -> None:
    def run() -> str:
        command = [sys.executable, "-c", COUNT_OPENED, str(root), str(tmp_path / "cache")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    time.sleep(2.1)  # files written a moment ago are not trusted
    assert [run(), run()] == ["20 True False", "0 False False"]
    new = root / "a" / "new.bmp"
    picture(999).save(new)
    in_an_hour = time.time() + 3600  # so it stays new, however long the two runs take
    os.utime(new, (in_an_hour, in_an_hour))
    assert [run(), run()] == ["1 True False", "1 False False"]  # too new to be known by its times


def test_a_changed_file_is_noticed_whatever_its_times_say(root: Path, opened: Opened) -> None:
    path = root / "a" / "3.bmp"
    time.sleep(2.1)
    before, facts = opened(), path.stat()
    picture(77).save(path)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    after = opened()
    assert len(where(before).keys() - where(after).keys()) == 1
    assert len(where(after).keys() - where(before).keys()) == 1


def test_a_file_swapped_at_once_is_noticed(root: Path, opened: Opened) -> None:
    """Both writings may bear the same time, where the file system's clock is coarse."""
    for number in range(5):
        before = opened()
        picture(500 + number).save(root / "a" / "3.bmp")
        assert not same(before, opened())


def test_a_damaged_cache_is_repaired(opened: Opened, tmp_path: Path) -> None:
    before = opened()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) >= 20
    for number, path in enumerate(kept):
        data = path.read_bytes()
        path.write_bytes([b"", data[: len(data) // 2], b"x" * len(data)][number % 3])
    assert same(before, opened())


def test_arrays_are_what_was_looked_at_or_an_error(
    root: Path, opened: Opened, tmp_path: Path
) -> None:
    data = opened()
    before = where(data)
    for path in root.rglob("*.bmp"):
        picture(int(path.stem) + 1000).save(path)
    assert where(data) == before  # it was kept
    shutil.rmtree(tmp_path / "cache" / "data")
    assert where(data) == before  # picture by picture too
    shutil.rmtree(tmp_path / "cache" / "data")
    for path in (tmp_path / "cache" / "images").rglob("*.bmp"):
        path.unlink()
    with pytest.raises(DataError, match="has changed since it was read; run the command"):
        where(data)


@pytest.mark.parametrize("split", SPLITS)
def test_fingerprints_follow_the_content(split: Split, root: Path, opened: Opened) -> None:
    first = opened()
    assert len({first.fingerprint(s) for s in SPLITS}) == 3
    (root / "a").rename(root / "a2")
    assert opened().fingerprint(split) != first.fingerprint(split)  # the class has another name
    (root / "a2").rename(root / "a")
    for path in sorted((root / "a").iterdir()):
        path.rename(path.with_name(f"x{path.name}"))
    assert opened().fingerprint(split) == first.fingerprint(split)


def test_progress_is_told(root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    open_dataset(str(root), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 20) for done in range(1, 21)]


# --- the demo set -------------------------------------------------------------------------------


SMALL: dict[Split, int] = {"train": 8, "validation": 4, "test": 6}


def test_the_demo_set(tmp_path: Path) -> None:
    data = DemoSet(tmp_path, seed=3, sizes=SMALL)
    pictures, labels = demo.generate(18, seed=3)
    for split, part in zip(SPLITS, (slice(8), slice(8, 12), slice(12, 18)), strict=True):
        images, its_labels = data.arrays(split)
        np.testing.assert_array_equal(images, pictures[part])
        np.testing.assert_array_equal(its_labels, labels[part])
        assert its_labels.dtype == np.int64
        assert np.bincount(its_labels).tolist() == [SMALL[split] // 2] * 2
    kept = list((tmp_path / "data").rglob("*.npy"))
    assert len(kept) == 3
    for path in kept:
        path.write_bytes(path.read_bytes()[:1000])
    assert same(data, DemoSet(tmp_path, seed=3, sizes=SMALL))


def test_what_is_said_of_the_demo_set(tmp_path: Path) -> None:
    assert open_dataset("demo", tmp_path).summary.lines() == [
        "demo images: 1,900 images in 2 classes",
        "  class    train  validation  test  total",
        "  intact     150         200   600    950",
        "  cracked    150         200   600    950",
        "split: generated so (seed 0)",
    ]


def test_demo_fingerprints_need_no_numpy(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from harness.data.dataset import SPLITS
from harness.data.opening import open_dataset
for seed in range(2):
    data = open_dataset("demo", Path({str(tmp_path)!r}), seed=seed)
    print(*(data.fingerprint(split) for split in SPLITS))
print("numpy" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(set(lines[:6])) == 6
    assert lines[6:] == ["False"]
    assert not list(tmp_path.iterdir())


def test_no_demo_of_a_negative_seed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seeds start at 0"):
        open_dataset("demo", tmp_path, seed=-1)
