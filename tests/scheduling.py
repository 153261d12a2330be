"""Which tests stay together in one process, and which come first.

The tests of a file stay together, since they share what is slow to make. So do files that need
TensorFlow: to import it takes six seconds of processor time, in the tests' own process as in the
one of which builds are forks.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

TOGETHER = {
    "import TensorFlow": (
        "tests/contract/artifacts/test_models.py",
        "tests/contract/artifacts/test_recipes.py",
        "tests/unit/artifacts/test_answers.py",
        "tests/unit/artifacts/test_batch_norm.py",
        "tests/unit/artifacts/test_networks.py",
        "tests/unit/artifacts/test_objective.py",
        "tests/unit/artifacts/test_quantize.py",
        "tests/unit/artifacts/test_sizes.py",
        "tests/unit/measure/test_mixed.py",
    ),
    "build": (
        "tests/e2e/test_brought_files.py",
        "tests/e2e/test_folder.py",
        "tests/e2e/test_lab_build.py",
        "tests/e2e/test_own_network.py",
        "tests/e2e/test_search.py",
        "tests/unit/artifacts/test_builder.py",
        "tests/unit/artifacts/test_training.py",
        "tests/unit/artifacts/test_transfer.py",
        "tests/unit/search/test_test_split.py",
    ),
}
_TOGETHER = {file: what for what, files in TOGETHER.items() for file in files}
# The other files that take longest, though they have few tests that are marked slow.
FIRST = frozenset({"tests/e2e/phone/test_cli.py", "tests/e2e/phone/test_measuring.py"})


def order(items: list[pytest.Item]) -> None:
    """What needs TensorFlow comes first, and files with many slow tests before the others, so that
    the last thing that a process does is short."""
    slow = Counter(
        item.path
        for item in items
        if any(item.get_closest_marker(mark) for mark in ("slow", "long"))
    )

    def place(item: pytest.Item) -> tuple[bool, str, bool, int]:
        file = _file(item.nodeid)
        alone = file not in _TOGETHER
        return (alone, _TOGETHER.get(file, ""), file not in FIRST, -slow[item.path])

    items.sort(key=place)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """`--dist loadfile` with some files together."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return _TOGETHER.get(file, file)
