"""What an artifact answered to labelled images. Observations only; what they amount to is in
`core/accuracy.py`."""

from __future__ import annotations

import struct

from harness.core.base import Failure, Value

Rows = list[tuple[float, ...]]


class Agreement(Value, frozen=True):
    """How far an artifact's answers are those of its float parent, on the same examples: `equal`
    decisions of `n`, the largest and the mean difference between the scores of one class."""

    parent: str
    n: int
    equal: int
    largest: float
    mean: float


class Evaluation(Value, frozen=True):
    """The answers of one artifact to every example of one split, in the split's order.

    `scores` are n x `width` little-endian float32, `labels` n little-endian uint16 (in JSON both
    are base64). A `width` of 1 is the score of the second of two classes, else there is one score
    per class. `step` is the smallest difference that the output can tell (0: a float). Rows of
    `confusion` are labels, columns decisions. With a `failure` nothing else is known.
    """

    variant: str
    sha256: str
    dataset: str
    split: str
    fingerprint: str
    runtime: str
    classes: tuple[str, ...]
    n: int = 0
    width: int = 1
    scores: bytes = b""
    labels: bytes = b""
    step: float = 0.0
    confusion: tuple[tuple[int, ...], ...] = ()
    agreement: Agreement | None = None
    failure: Failure | None = None

    @property
    def rows(self) -> Rows:
        """Per example the score of each class; a single score s is (1 - s, s)."""
        flat = struct.unpack(f"<{self.n * self.width}f", self.scores)
        if self.width == 1:
            return [(1 - s, s) for s in flat]
        return [flat[i : i + self.width] for i in range(0, len(flat), self.width)]

    @property
    def truth(self) -> tuple[int, ...]:
        """The label of each example, as an index into `classes`."""
        return struct.unpack(f"<{self.n}H", self.labels)

    @property
    def decisions(self) -> list[int]:
        """The class of the highest score, the first of equal ones; so a single score decides for
        the second class when it is above one half."""
        return [row.index(max(row)) for row in self.rows]

    @property
    def right(self) -> list[bool]:
        """Which examples were decided as labelled."""
        return [d == t for d, t in zip(self.decisions, self.truth, strict=True)]


def packed_scores(flat: list[float]) -> bytes:
    """Scores as `Evaluation.scores` has them."""
    return struct.pack(f"<{len(flat)}f", *flat)


def packed_labels(labels: list[int]) -> bytes:
    """Labels as `Evaluation.labels` has them."""
    return struct.pack(f"<{len(labels)}H", *labels)
