"""Every file under tests/data is read by some test."""

from __future__ import annotations

from tests.paths import DATA, ROOT


def test_every_kind_of_capture_is_read_by_some_test() -> None:
    """By name: a file that no test names is data that nobody looks at."""
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if path.name != "test_data_files.py"
    )
    kinds = {path.name for path in (DATA / "golden").glob("*/*/*")}
    # The two streams are read by one line, for both of them.
    kinds -= {"stdout.txt", "stderr.txt"}
    assert {kind for kind in kinds if kind not in sources} == set()
