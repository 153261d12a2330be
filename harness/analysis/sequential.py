"""Is the candidate slower, faster, or the same? Sequential test that stops as soon as it can.

Testing after every round and stopping at the first clear interval would be wrong far more often
than 1 in 20. So there are looks at fixed numbers of rounds only (7, 10, 15, 22, 33 ..., half as
many again each time), and each look has its own part of the error rate: look k may err with
probability alpha / (k (k + 1)). Over any number of looks these parts add up to at most alpha, so
by the union bound an answer is wrong in at most alpha of all experiments, whenever it was given.
(Alpha spending: Lan & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70,
1983; here without their normal theory, with the exact signed-rank interval of `stats/ratio.py` at
every look.)
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.types import Direction, Estimate, Outcome, Value
from harness.stats.ratio import paired
from harness.stats.thresholds import Gate

FIRST_LOOK = 7


class Decision(Value, frozen=True):
    """The result of one look. `outcome` is "inconclusive" as long as more rounds are needed.
    `ratio` is candidate over baseline with the interval of this look, whose level grows from look
    to look; None if a value was not positive."""

    look: int
    rounds: int
    outcome: Outcome
    ratio: Estimate | None

    @property
    def decided(self) -> bool:
        """Whether to stop."""
        return self.outcome != "inconclusive"


def rounds_at(look: int) -> int:
    """How many rounds there must be at a look, which are counted from 1: 7, 10, 15, 22, 33 ..."""
    rounds = FIRST_LOOK
    for _ in range(look - 1):
        rounds = (3 * rounds) // 2
    return rounds


def decide(
    rounds: Sequence[tuple[float, float]],
    *,
    look: int,
    threshold: float = 0.05,
    alpha: float = 0.05,
    direction: Direction = "lower",
) -> Decision:
    """Judge (baseline, candidate) rounds, each measured in random order, at look 1, 2, ...

    Call it once there are `rounds_at(look)` rounds; later ones wait for the next look. Every call
    of a look spends its share of `alpha`, so the number of a look must not be used twice with other
    data. Raises ValueError if there are fewer rounds than the look needs.
    """
    needed = rounds_at(look)
    if len(rounds) < needed:
        raise ValueError(f"look {look} needs {needed} rounds, there are {len(rounds)}")
    rounds = rounds[:needed]
    gate = Gate(threshold=threshold, confidence=1 - alpha / (look * (look + 1)))
    pairs = paired(rounds)
    ratio = None if pairs is None else pairs.estimate(gate.confidence)
    # If so few rounds cannot reach the level, do not stop, however wide the interval is.
    clear = ratio is not None and ratio.confidence >= gate.confidence - 1e-9
    outcome = gate.named(gate.side(ratio), direction) if ratio and clear else "inconclusive"
    return Decision(look=look, rounds=needed, outcome=outcome, ratio=ratio)
