"""The table of classes and splits that a person reads before a run."""

from __future__ import annotations

from harness.core.data import DataSummary


def test_a_class_may_be_called_0_and_a_split_may_be_empty() -> None:
    counts = {
        "0": {"train": 1200, "validation": 20, "test": 0},
        "1": {"train": 7, "validation": 3, "test": 30},
    }
    summary = DataSummary(name="digits", counts=counts, split_by="made so")  # type: ignore[arg-type]
    assert summary.lines()[1:4] == [
        "  class  train  validation  test  total",
        "  0      1,200          20     0  1,220",
        "  1          7           3    30     40",
    ]


def test_one_copy_is_one() -> None:
    summary = DataSummary(name="x", counts={}, split_by="made so", copies=1)
    assert "duplicates: 1 file has the pixels of another, left out" in summary.lines()
