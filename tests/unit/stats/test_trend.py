"""Change points: rarely where there is none, reliably where there is one."""

from __future__ import annotations

import random

import pytest

from harness.stats.trend import changes


def noise(n: int, rng: random.Random, centre: float = 100.0) -> list[float]:
    """Runs of one variant: log-normal with a spread of 5 %."""
    return [centre * rng.lognormvariate(0, 0.05) for _ in range(n)]


@pytest.mark.parametrize("n", [6, 10, 30, 120])
def test_noise_is_rarely_called_a_change(n: int) -> None:
    rng = random.Random(n)
    alarms = sum(bool(changes(noise(n, rng))) for _ in range(400))
    assert alarms / 400 <= 0.03  # 1 % is promised; the rest is chance


def test_heavy_tails_do_not_alarm_either() -> None:
    rng = random.Random(1)
    series = [
        [abs(rng.gauss(0, 1) / (rng.gauss(0, 1) or 1)) for _ in range(40)] for _ in range(300)
    ]
    assert sum(bool(changes(s)) for s in series) / 300 <= 0.03


def test_a_step_of_a_fifth_is_found_where_it_is() -> None:
    rng = random.Random(2)
    found = [changes(noise(12, rng) + noise(8, rng, 120.0)) for _ in range(200)]
    hits = [c for c in found if c and abs(c[0].at - 12) <= 1]
    assert len(hits) >= 190
    assert hits[0][0].ratio == pytest.approx(1.2, rel=0.1)


def test_a_step_that_stands_out_is_placed_to_the_run() -> None:
    """Also where the two sides are of unequal length, which draws the rank-sum to the middle."""
    rng = random.Random(6)
    found = [changes(noise(7, rng) + noise(20, rng, 150.0)) for _ in range(100)]
    assert sum([c.at for c in f] == [7] for f in found) >= 95


def test_two_steps_are_two_changes() -> None:
    rng = random.Random(3)
    series = noise(15, rng) + noise(15, rng, 130.0) + noise(15, rng)
    assert [c.at for c in changes(series)] == pytest.approx([15, 30], abs=1)


def test_five_runs_say_nothing() -> None:
    assert changes([1.0, 1.0, 9.0, 9.0, 9.0]) == ()


def test_an_outlier_is_no_change() -> None:
    rng = random.Random(4)
    series = noise(20, rng)
    series[10] *= 50
    assert changes(series) == ()


def test_exact_values_change_wherever_they_differ() -> None:
    found = changes([10, 10, 12, 12, 11], exact=True)
    assert [(c.at, c.before, c.after) for c in found] == [(2, 10, 12), (4, 12, 11)]


def test_scale_does_not_matter() -> None:
    rng = random.Random(5)
    series = noise(10, rng) + noise(10, rng, 140.0)
    assert [c.at for c in changes(series)] == [c.at for c in changes([v * 1e6 for v in series])]
