"""How the answers of a converted file compare with those of its source, on the same inputs."""

from __future__ import annotations

from typing import NamedTuple

from harness.core.types import Finding

# Rounding in another order moves float32 answers by parts in a hundred thousand.
_LARGEST = 1e-2


class Compared(NamedTuple):
    """The largest difference, the largest answer, and how many of `examples` decisions agree.
    `pictures` of the examples are pictures, the others random."""

    largest: float
    magnitude: float
    same: int
    examples: int
    pictures: int = 0

    @property
    def finding(self) -> Finding:
        """Serious if the file's answers differ from its source's."""
        share = self.largest / self.magnitude if self.magnitude else self.largest
        inputs = f"{self.examples - self.pictures} random inputs"
        if self.pictures:
            inputs += f" and {self.pictures} pictures"
        message = (
            f"on {inputs} the converted file's answers are at most "
            f"{share:.1e} of the largest answer away from the source's, and {self.same} of "
            f"{self.examples} decisions are the same"
        )
        if share <= _LARGEST:
            return Finding(level="info", code="conversion-checked", message=message)
        return Finding(
            level="serious",
            code="conversion-changed-answers",
            message=message,
            fix="look for layers that behave differently in training, or use another converter",
        )
