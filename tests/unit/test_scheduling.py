"""The files that are named where tests are divided among processes are there."""

from __future__ import annotations

from tests import scheduling
from tests.paths import ROOT


def test_every_named_file_is_there_and_in_one_group() -> None:
    together = [file for files in scheduling.TOGETHER.values() for file in files]
    assert len(together) == len(set(together))
    missing = [file for file in (*together, *scheduling.FIRST) if not (ROOT / file).is_file()]
    assert missing == [], "they were moved: name them anew in tests/scheduling.py"
