"""Energy per inference: by hand, and what too few readings give."""

from __future__ import annotations

import random

import pytest

from harness.core.power import Drawn
from harness.stats.energy import idle_draw, per_inference


def drawn(minutes: int = 6, idle_readings: int = 60, idle_after_uw: int = 500_000) -> Drawn:
    """0.5 W idle, 2.5 W under load, 10 ms for each inference: 20 mJ above idle."""
    rng = random.Random(3)

    def about(level: int, count: int) -> tuple[int, ...]:
        return tuple(level + rng.randrange(-2_000, 2_001) for _ in range(count))

    return Drawn(
        source="battery",
        unit="µA",
        every_ns=1_000_000_000,
        idle_before=about(500_000, idle_readings),
        idle_after=about(idle_after_uw, idle_readings),
        loaded=tuple(about(2_500_000, 60) for _ in range(minutes)),
        ns_per_inference=(10_000_000,) * minutes,
    )


def test_it_is_what_the_load_adds() -> None:
    found = per_inference(drawn(), "J")
    assert found.point == pytest.approx(0.020, rel=0.001)
    assert found.estimate is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < 0.020 < found.ci_high
    assert found.n == 6


def test_an_idle_draw_that_changed_widens_the_interval_by_half_of_it() -> None:
    found = per_inference(drawn(idle_after_uw=700_000), "J")
    assert found.point == pytest.approx(0.019, rel=0.002)
    assert found.estimate is not None
    assert found.estimate.half_width == pytest.approx(0.1e6 / 1.9e6, rel=0.1)


def test_few_minutes_and_few_readings_give_a_point_without_interval() -> None:
    for few, why in ((drawn(minutes=2), "2 stretches"), (drawn(idle_readings=3), "idle draw")):
        found = per_inference(few, "J")
        assert found.point == pytest.approx(0.020, rel=0.01)
        assert found.ci_low is None
        assert why in found.absent["ci"]


def test_a_value_that_the_gauge_shows_again_is_one_reading() -> None:
    lazy = Drawn(
        source="battery",
        unit="mA",
        every_ns=1_000_000_000,
        idle_before=(500_000,) * 30 + (501_000,) * 30,
        idle_after=(500_000,) * 60,
        loaded=((2_500_000,) * 60,) * 6,
        ns_per_inference=(10_000_000,) * 6,
    )
    assert idle_draw(lazy)[1] is None
    assert "ci" in per_inference(lazy, "J").absent


def test_no_load_to_be_seen_and_no_readings_are_absent() -> None:
    for nothing, why in (
        (drawn(idle_after_uw=9_000_000), "no more under load"),
        (drawn(idle_readings=0), "too short"),
        (drawn(minutes=0), "too short"),
    ):
        found = per_inference(nothing, "J")
        assert found.point is None
        assert why in (found.absent_because or "")
