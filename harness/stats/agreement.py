"""A device's answers to labelled images beside the host's to the same ones. Pure."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from harness.core.types import Evaluation


class Pair(NamedTuple):
    """One image: its place in the split, its label, both rows of scores, and how sure the host is:
    its best score minus its second best."""

    row: int
    label: int
    device: tuple[float, ...]
    host: tuple[float, ...]
    lead: float

    @property
    def finite(self) -> bool:
        """Whether the device's answer is finite."""
        return all(map(isfinite, self.device))

    @property
    def same_decision(self) -> bool:
        """Whether both decide for the same class."""
        return self.finite and _best(self.device) == _best(self.host)

    @property
    def difference(self) -> float:
        """The largest between two scores of one class; infinite if the device's is not finite."""
        if not self.finite:
            return float("inf")
        return max(abs(a - b) for a, b in zip(self.device, self.host, strict=True))


class Beside(NamedTuple):
    """All images that both answered."""

    pairs: tuple[Pair, ...]

    @property
    def n(self) -> int:
        """The number of images."""
        return len(self.pairs)

    @property
    def equal(self) -> int:
        """Images of which both decide alike."""
        return sum(pair.same_decision for pair in self.pairs)


def beside(device: Evaluation, host: Evaluation | None) -> Beside | None:
    """The images that both answered; None if there is none, or if they answered different
    splits."""
    if host is None or host.failure is not None or host.fingerprint != device.fingerprint:
        return None
    theirs = host.rows
    pairs = tuple(
        Pair(row, label, tuple(mine), tuple(theirs[row]), _lead(theirs[row]))
        for row, label, mine in zip(device.rows_of_split, device.truth, device.rows, strict=True)
        if row < host.n
    )
    return Beside(pairs) if pairs else None


def _best(row: tuple[float, ...]) -> int:
    return row.index(max(row))


def _lead(row: tuple[float, ...]) -> float:
    first, second = sorted(row, reverse=True)[:2]
    return first - second
