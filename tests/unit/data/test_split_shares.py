"""What `--split` says, and what it cannot say."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.data import split


def test_shares_are_of_train_validation_and_test() -> None:
    assert split.parse("60/10/30") == {"train": 60, "validation": 10, "test": 30}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("10/10", "is not three whole numbers"),
        ("60/10/x", "is not three whole numbers"),
        ("50/50/0", "leaves nothing to test"),
        ("60/10/31", "adds up to 101, not 100"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=f"--split {text} {wrong}"):
        split.parse(text)
