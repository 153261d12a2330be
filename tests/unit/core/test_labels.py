"""Which output is of which class, by names."""

from __future__ import annotations

import pytest

from harness.core.labels import places


@pytest.mark.parametrize(
    "labels",
    [
        ("0 bright", "1 dark"),
        ("0: bright", "1: dark"),
        ("0,bright", "1,dark"),
        ("Bright", "DARK"),
    ],
)
def test_numbers_before_the_labels_are_not_of_the_labels(labels: tuple[str, ...]) -> None:
    assert places(labels, ("dark", "bright")) == (1, 0)


@pytest.mark.parametrize("labels", [("2 bright", "1 dark"), ("0", "1"), ("0 bright", "1 bright")])
def test_labels_that_do_not_name_the_classes(labels: tuple[str, ...]) -> None:
    assert places(labels, ("bright", "dark")) is None


def test_numbers_are_of_the_labels_where_the_classes_have_them() -> None:
    assert places(("0 cat", "1 dog"), ("0 cat", "1 dog")) == (0, 1)
    assert places(("0 euro", "1 euro", "2 euro"), ("2 euro", "0 euro")) == (2, 0)
