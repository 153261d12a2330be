"""The answers of an artifact to labelled images. Observations only; the metrics made of them are in
`analysis/metrics/accuracy.py`."""

from __future__ import annotations

import struct
from math import isfinite
from typing import Literal

from harness.core.base import Failure, Value
from harness.core.pixels import Pixels

Rows = list[tuple[float, ...]]


class Agreement(Value, frozen=True):
    """How much an artifact agrees with its float parent on the same examples: `equal` decisions of
    `n`, the largest and the mean difference between the scores of a class."""

    parent: str
    n: int
    equal: int
    largest: float
    mean: float


class Tried(Value, frozen=True):
    """How `n` images of the validation split were decided when given in the range `pixels`: how
    many as labelled (`right`), how many of these only in this range, and how many only in the
    assumed range."""

    pixels: Pixels
    n: int
    right: int
    only_so: int = 0
    only_as_assumed: int = 0


class DeviceImages(Value, frozen=True):
    """The part of the test split that devices answer: `rows` are positions in the split, ascending,
    `labels` a little-endian uint16 for each. `files` maps a variant to the file with its inputs,
    one image after the other, `sizes` to the bytes of one."""

    dataset: str
    fingerprint: str
    classes: tuple[str, ...]
    rows: tuple[int, ...]
    labels: bytes
    of: int
    files: dict[str, str] = {}
    sizes: dict[str, int] = {}

    @property
    def truth(self) -> list[int]:
        """The label of each, as an index into `classes`."""
        return list(struct.unpack(f"<{len(self.rows)}H", self.labels))


class DeviceAnswers(Value, frozen=True):
    """The raw outputs of one case to some of the DeviceImages, as the device gave them: those from
    number `first` on, one after the other. With a `failure` no more will come."""

    case: str
    first: int = 0
    raw: bytes = b""
    failure: Failure | None = None


class Evaluation(Value, frozen=True):
    """The answers of one artifact to the first `n` examples of one split, in the split's order,
    which has `of` examples in all (0: as many). If a device gave the answers, `case` names its
    case, `rows_of_split` says which examples they are for, and `broke_off` why there are not more.

    `scores` are n x `width` little-endian float32, `labels` n little-endian uint16 (in JSON both
    are base64). A `width` of 1 is the score of the second of two classes, else there is one score
    per class. `step` is the smallest difference that the output can represent (0: a float). Rows of
    `confusion` are labels, columns decisions. With a `failure` nothing else is known.

    `looks` are the numbers of examples after which the harness asked whether more are needed, empty
    if all were answered at once. `pixels` is how the pictures were given, `saturated` the share of
    numbers that the input's type could not hold (None: it can hold all), `tried` the results of
    other ranges, where the range was only assumed. `scores_of` says how it is known which score
    belongs to which class: "order" means only by the order of the folders' names. `unused` counts
    scores of other classes.
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
    of: int = 0
    looks: tuple[int, ...] = ()
    pixels: Pixels | None = None
    saturated: float | None = None
    tried: tuple[Tried, ...] = ()
    scores_of: Literal["order", "asked", "metadata"] = "order"
    unused: int = 0
    case: str | None = None
    rows_of_split: tuple[int, ...] = ()
    broke_off: Failure | None = None

    @property
    def rows(self) -> Rows:
        """The score of each class for each example; a single score s becomes (1 - s, s)."""
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
        the second class when it is above one half. -1 where a score is not a finite number."""
        return [row.index(max(row)) if all(map(isfinite, row)) else -1 for row in self.rows]

    @property
    def not_finite(self) -> int:
        """The examples whose answer is not a finite number."""
        return sum(not all(map(isfinite, row)) for row in self.rows)

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
