"""Compares two sides' answers to the same inputs: their difference, and whether decisions agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.core.types import Parity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Answers = Iterable[NDArray[np.float64]]  # a row per example, which may be of any length

THRESHOLD = 0.5  # of a single output that is a probability


def compared(ours: Answers, theirs: Answers) -> Parity | None:
    """The comparison of two sets of answers, flat and dequantized; None if the sizes differ."""
    import numpy as np

    mine, others = list(ours), list(theirs)
    if not mine or [a.shape for a in mine] != [b.shape for b in others]:
        return None
    pairs = list(zip(mine, others, strict=True))
    if any(a.ndim != 1 or a.size == 0 for a in mine):
        return None
    alike = all((np.isfinite(a) == np.isfinite(b)).all() for a, b in pairs)
    largest = max(float(np.abs(a - b, where=_both(a, b), out=np.zeros(a.shape)).max())
                  for a, b in pairs)  # fmt: skip
    return Parity(
        examples=len(pairs),
        values=min(map(len, mine)),
        largest_difference=largest if alike else None,
        largest_answer=max(float(np.abs(b[np.isfinite(b)]).max(initial=0.0)) for b in others),
        equal_decisions=sum(_decision(a) == _decision(b) for a, b in pairs),
    )


def _both(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    import numpy as np

    return np.isfinite(a) & np.isfinite(b)


def _decision(answer: NDArray[np.float64]) -> int | None:
    """The class an answer names: the largest output, or for a single one which side of THRESHOLD
    it is on. None if an output is not finite."""
    import numpy as np

    if not np.isfinite(answer).all():
        return None
    return int(answer[0] >= THRESHOLD) if len(answer) == 1 else int(answer.argmax())
