"""Logits -> probabilities: pure, and safe from overflow."""

from __future__ import annotations

import math
from collections.abc import Sequence


def probabilities(flat: Sequence[float], width: int) -> list[float]:
    """Rows of `width` logits in one list -> the probabilities in the same places: the softmax of
    each row, or the sigmoid of a single logit."""
    if width == 1:
        return [_sigmoid(logit) for logit in flat]
    found: list[float] = []
    for start in range(0, len(flat), width):
        row = flat[start : start + width]
        powers = [math.exp(logit - max(row)) for logit in row]
        total = sum(powers)
        found.extend(power / total for power in powers)
    return found


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1 + power)
