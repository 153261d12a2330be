"""Damaged files of all kinds, a few of each; benchmarks/fuzz.py gives thousands."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import DataError, UsageError
from harness.data.dataset import SPLITS
from harness.data.opening import open_dataset
from tests import damage


def described(what: str, data: bytes, path: Path) -> bool:
    """Whether the file can be measured; else it must be refused in one line."""
    path.write_bytes(data)
    began = time.process_time()
    try:
        assert inspect(path, variant="x").size_bytes == len(data), what
        return True
    except UsageError as error:
        assert str(error).startswith(str(path)), what
        assert error.fix, what
        assert "\n" not in str(error), what
        return False
    finally:
        assert time.process_time() - began < 10, what


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_model_is_described_or_refused_in_one_line(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        described(*damage.model(seed), Path(folder, "fuzzed.tflite"))


def test_each_way_to_damage_is_repeatable_and_some_files_can_still_be_read(tmp_path: Path) -> None:
    kinds: dict[str, int] = {}
    for seed in range(100):
        what, data = damage.model(seed)
        assert damage.model(seed) == (what, data)
        kind = what.split()[0]
        kinds[kind] = kinds.get(kind, 0) + described(what, data, tmp_path / "fuzzed.tflite")
    assert kinds["flipped"] > 0
    assert kinds["overwritten"] > 0
    assert kinds["mixed_up"] > 0
    assert set(kinds) == {kind.__name__ for kind in damage.DAMAGES}


@pytest.mark.slow
def test_a_folder_of_damaged_pictures_is_opened_or_refused_in_one_line(tmp_path: Path) -> None:
    opened = 0
    for seed in range(5):
        root = tmp_path / str(seed)
        damage.pictures(root, seed)
        try:
            data = open_dataset(str(root), tmp_path / "cache")
        except (DataError, UsageError) as error:
            assert "\n" not in str(error), seed
            continue
        opened += 1
        for split in SPLITS:
            images, labels = data.arrays(split)
            assert len(images) == len(labels) == data.summary.count(split), seed
        assert all("\n" not in line for line in data.summary.lines()), seed
    assert opened > 0
