"""Which images are for training, which for validation, which for the test.

An image's share follows from a hash of its pixels and the seed alone, so it stays where it is when
others come or go, and copies of it cannot be on two sides. The only exception is a class so small
that a split would get none of it: then the image whose hash is nearest to that split is moved into
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from harness.core.data import SPLITS, Split
from harness.core.errors import UsageError

Shares = Mapping[Split, int]

# Per cent of the images, when the folder has no split of its own.
SHARES: dict[Split, int] = {"train": 70, "validation": 15, "test": 15}

# A class with one image is only trained on, one with two is tested as well.
_NEED: tuple[Split, ...] = ("train", "test", "validation")


def assign(
    digests: Iterable[str],
    shares: Shares,
    seed: int = 0,
    *,
    stay: frozenset[str] = frozenset(),
) -> tuple[dict[str, Split], int]:
    """The split of each image of one class, and how many were moved because a split had none.

    `digests` are of the pixels, `shares` the weights of the splits that are wanted;
    those that `stay` are never moved.
    """
    places = {digest: place(digest, seed) for digest in sorted(set(digests))}
    splits = {digest: _natural(at, shares) for digest, at in places.items()}
    moved = 0
    served: list[Split] = []
    for wanted in (split for split in _NEED if split in shares):
        if len(served) == len(splits):
            break
        served.append(wanted)
        if wanted in splits.values():
            continue
        low, high = _range(wanted, shares)
        donors = [digest for digest in _spare(splits, served) if digest not in stay]
        if not donors:
            continue
        nearest = min(donors, key=lambda d: (max(low - places[d], places[d] - high), d))
        splits[nearest] = wanted
        moved += 1
    return splits, moved


def place(digest: str, seed: int) -> float:
    """The position of an image between 0 and 1: uniform over images, and different for each
    seed."""
    word = hashlib.sha256(f"{seed} {digest}".encode()).digest()[:6]
    return float(int.from_bytes(word, "big")) / 2.0**48


def _range(split: Split, shares: Shares) -> tuple[float, float]:
    """The stretch of 0 to 1 that belongs to a split."""
    wanted = [s for s in SPLITS if s in shares]
    below = sum(shares[s] for s in wanted[: wanted.index(split)])
    total = sum(shares.values())
    return below / total, (below + shares[split]) / total


def _natural(at: float, shares: Shares) -> Split:
    """The split in whose stretch `at` lies."""
    wanted = [split for split in SPLITS if split in shares]
    return next((s for s in wanted if at < _range(s, shares)[1]), wanted[-1])


def _spare(splits: Mapping[str, Split], served: list[Split]) -> list[str]:
    """The images of the fullest split that can spare one."""
    members: dict[Split, list[str]] = {}
    for digest, split in splits.items():
        members.setdefault(split, []).append(digest)
    able = [s for s in SPLITS if len(members.get(s, [])) > (1 if s in served else 0)]
    return members[max(able, key=lambda s: len(members[s]))]


def parse(text: str) -> dict[Split, int]:
    """`60/10/30` -> the shares of train, validation and test. Raises UsageError."""
    parts = text.split("/")
    if len(parts) != len(SPLITS) or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(
            f"--split {text} is not three whole numbers", "write train/validation/test: 60/10/30"
        )
    shares = dict(zip(SPLITS, (int(part) for part in parts), strict=True))
    fix = "give each split at least 1, and 100 in all"
    if empty := [split for split, share in shares.items() if not share]:
        raise UsageError(f"--split {text} leaves nothing to {' and '.join(empty)}", fix)
    if (total := sum(shares.values())) != 100:
        raise UsageError(f"--split {text} adds up to {total}, not 100", fix)
    return shares
