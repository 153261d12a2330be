"""Which tests stay together in one process, and which come first.

The tests of a file stay together, since they share what is slow to make. So do files that import
TensorFlow in the tests' own process, which takes six seconds of processor time in each.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

IMPORTING_TENSORFLOW = frozenset(
    {
        "tests/contract/artifacts/test_models.py",
        "tests/contract/artifacts/test_recipes.py",
        "tests/unit/artifacts/test_answers.py",
        "tests/unit/artifacts/test_networks.py",
        "tests/unit/artifacts/test_objective.py",
        "tests/unit/artifacts/test_quantize.py",
        "tests/unit/artifacts/test_sizes.py",
        "tests/unit/measure/test_mixed.py",
    }
)
# The files that take longest, though some have few tests.
LONG = frozenset(
    {
        "tests/e2e/phone/test_cli.py",
        "tests/e2e/phone/test_measuring.py",
        "tests/e2e/test_arm64.py",
        "tests/e2e/test_imagenet.py",
        "tests/unit/artifacts/test_training.py",
    }
)


def order(items: list[pytest.Item]) -> None:
    """Files with many slow tests come first, so that the last thing that a process does is short;
    what imports TensorFlow before all."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        file = _file(item.nodeid)
        return (file not in IMPORTING_TENSORFLOW, file not in LONG, -slow[item.path])

    items.sort(key=place)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """`--dist loadfile` with some files together."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return "TensorFlow" if file in IMPORTING_TENSORFLOW else file
