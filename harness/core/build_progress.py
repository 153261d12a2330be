"""How far a build is, to be shown while somebody waits for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BuildProgress:
    """`variant` is in `stage` ("cached", "converting", ...); it is number `index` of `count`,
    counted from 0. `done` of `total` is how far the stage is, where that is known.
    `validation_accuracy` is that of an epoch of the variant's own training that has just ended."""

    variant: str
    stage: str
    index: int
    count: int
    done: int | None = None
    total: int | None = None
    validation_accuracy: float | None = None
