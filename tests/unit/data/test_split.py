from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.data import SPLITS, Split
from harness.data.split import SHARES, assign, place

digests = st.sets(st.integers(0, 10**9).map(lambda i: hashlib.sha256(b"%d" % i).hexdigest()))
shares = st.sampled_from(
    [SHARES, {"train": 70, "validation": 15}, {"train": 70, "test": 15}, {"train": 70}]
)


@settings(deadline=None)
@given(digests, digests, shares, st.integers(0, 3))
def test_adding_images_moves_none_that_was_where_its_hash_puts_it(
    before: set[str], added: set[str], wanted: dict[Split, int], seed: int
) -> None:
    first, helped = assign(before, wanted, seed)
    second, helped_then = assign(before | added, wanted, seed)
    moved = [digest for digest in before if first[digest] != second[digest]]
    assert len(moved) <= helped + helped_then
    assert helped <= len(wanted) - 1 + (len(before) == 1)


@settings(deadline=None)
@given(digests, shares, st.integers(0, 3))
def test_every_split_has_one_where_there_are_enough(
    images: set[str], wanted: dict[Split, int], seed: int
) -> None:
    splits, _ = assign(images, wanted, seed)
    assert splits.keys() == images
    counts = Counter(splits.values())
    need = [s for s in ("train", "test", "validation") if s in wanted]
    assert set(counts) >= set(need[: len(images)])
    assert set(counts) <= set(wanted)


@settings(deadline=None)
@given(st.permutations([hashlib.sha256(b"%d" % i).hexdigest() for i in range(9)]))
def test_the_order_plays_no_part(images: list[str]) -> None:
    assert assign(images, SHARES) == assign(sorted(images), SHARES)
    assert assign(images + images, SHARES) == assign(images, SHARES)


def test_shares_are_about_70_15_15_and_another_seed_shares_otherwise() -> None:
    images = [hashlib.sha256(b"%d" % i).hexdigest() for i in range(4000)]
    first, helped = assign(images, SHARES)
    assert helped == 0
    counts = Counter(first.values())
    for split in SPLITS:
        assert counts[split] / len(images) == pytest.approx(SHARES[split] / 100, abs=0.02)
    other, _ = assign(images, SHARES, seed=1)
    same = sum(first[digest] == other[digest] for digest in images) / len(images)
    assert same == pytest.approx(0.7**2 + 2 * 0.15**2, abs=0.04)  # as two independent draws


def test_the_split_is_the_one_of_old() -> None:
    """A change here reshuffles every user's data."""
    # printf '0 %s' 000...0 | sha256sum
    assert place("0" * 64, 0) == 0x5851F80B01EB / 2**48
    images = [hashlib.sha256(b"%d" % i).hexdigest() for i in range(20)]
    splits, _ = assign(images, SHARES)
    letters = {"train": ".", "validation": "v", "test": "t"}
    assert "".join(letters[splits[digest]] for digest in images) == ".tvvt......v...v...v"
