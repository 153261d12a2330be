"""Files that are written whole or not at all, and whose later damage is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.system import files


def test_what_goes_wrong_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    files.write_atomic(path, b"old")

    def halfway() -> None:
        with files.replacing(path) as file:
            file.write(b"new")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        halfway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_damage_of_a_sealed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    assert not files.intact(path)
    with files.sealing(path) as file:
        file.write(b"what was meant")
    assert files.intact(path)
    path.write_bytes(b"what was mean")
    assert not files.intact(path)
    path.unlink()
    assert not files.intact(path)
    path.write_bytes(b"nobody's")
    (tmp_path / "sealed.sha256").unlink()
    assert not files.intact(path)
