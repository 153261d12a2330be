from __future__ import annotations

from collections.abc import Sequence

from harness.core.types import Launch, Timing
from harness.measure.ab import paired
from tests.fakes import FakeTarget, artifact, case


def launches(*times: Sequence[int], first: int = 0) -> list[Launch]:
    fake = FakeTarget("host", lambda _, index: times[index - first])
    indices = range(first, first + len(times))
    return [fake.launch(case("a"), artifact("a"), Timing(), index) for index in indices]


def test_rounds_are_paired_by_their_number() -> None:
    a = launches([10], [], [30], [40])
    b = launches([11], [21], [31], [41])
    assert paired(a, b) == [(10, 11), (30, 31), (40, 41)]
    assert paired(b, a) == [(11, 10), (31, 30), (41, 40)]


def test_a_round_of_one_side_alone_is_left_out_and_their_order_does_not_matter() -> None:
    a, b = launches([10], [20], [30]), launches([21], [31], [41], first=1)
    assert paired(a, b[::-1]) == [(20, 21), (30, 31)]
    assert paired(a, []) == []
