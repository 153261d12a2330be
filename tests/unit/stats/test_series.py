"""Drift, neighbours, modes, steady state: exact p values, and that each sees what it is for."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.series import drift, drift_of_run, modes, neighbours, steady_state
from tests.strategies import factors, medians


def noise(n: int, sd: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.lognormvariate(0, sd) for _ in range(n)]


# --- drift -----------------------------------------------------------------------------------


def test_the_p_value_of_drift_is_exact() -> None:
    """All 720 orders of six values, counted."""
    taus = []
    for order in permutations(range(1, 7)):
        d = drift([float(v) for v in order])
        assert d is not None
        taus.append((abs(round(d.tau * 15)), d.p))
    for s, p in set(taus):
        assert p == pytest.approx(sum(t >= s for t, _ in taus) / 720)


def test_five_rising_launches_are_flagged() -> None:
    d = drift([1.0, 1.01, 1.02, 1.03, 1.04])
    assert d is not None and d.significant
    assert d.tau == 1.0
    assert d.p == pytest.approx(2 / 120)
    assert d.change == pytest.approx(0.04, rel=0.05)


def test_ties_and_long_series_use_the_normal_approximation() -> None:
    tied = drift([1.0] * 20)
    assert tied is not None and (tied.tau, tied.p) == (0.0, 1.0)
    long = drift([v * (1 + i / 500) for i, v in enumerate(noise(60, 0.02, 1))])
    assert long is not None and long.significant and long.change > 0.08


@given(medians, factors)
def test_scaling_does_not_change_drift(values: list[float], factor: float) -> None:
    plain, scaled = drift(values), drift([v * factor for v in values])
    assert plain is not None and scaled is not None
    assert scaled.change == pytest.approx(plain.change)


@given(medians)
def test_backwards_the_drift_is_the_other_way(values: list[float]) -> None:
    forth, back = drift(values), drift(values[::-1])
    assert forth is not None and back is not None
    assert (back.tau, back.p) == (-forth.tau, forth.p)


def test_ten_cases_show_a_drift_that_one_does_not() -> None:
    cases = []
    for number in range(10):
        values = noise(7, 0.05, number)
        rows = [(10 * k + number, v * 5) for k, v in enumerate(values)]
        cases.append([(order, v * (1 + 0.1 * order / 70)) for order, v in rows])
    alone = [drift([v for _, v in case]) for case in cases]
    together = drift_of_run(cases)
    assert sum(d is not None and d.significant for d in alone) <= 5
    assert together is not None and together.significant


# --- neighbours ------------------------------------------------------------------------------


def test_launches_that_resemble_the_one_before() -> None:
    moody = [v * (1.1 if i // 10 % 2 else 1) for i, v in enumerate(noise(40, 0.01, 2))]
    seen = neighbours(moody)
    assert seen is not None and seen.significant
    assert seen.correlation > 0.5 and seen.worth < 20


def test_independent_launches_rarely_look_alike() -> None:
    flagged = 0
    for seed in range(500):
        seen = neighbours(noise(20, 0.1, seed))
        flagged += seen is not None and seen.significant
    assert flagged <= 15
    assert neighbours(noise(9, 0.1, 1)) is None
    assert neighbours([1.0] * 20) is None


# --- modes -----------------------------------------------------------------------------------


def test_two_speeds_are_seen_with_ten_launches() -> None:
    rng = random.Random(7)
    found = 0
    for _ in range(100):
        values = [(5.4 if i < 6 else 7.9) * rng.lognormvariate(0, 0.03) for i in range(10)]
        m = modes(values)
        assert m is not None
        if m.significant:
            found += 1
            assert (m.low, m.high) == pytest.approx((5.4, 7.9), rel=0.1)
            assert m.high_share == 0.4
    assert found >= 75


@pytest.mark.parametrize("n", [5, 7, 10, 30])
def test_one_mode_is_rarely_taken_for_two(n: int) -> None:
    rng = random.Random(n)
    flagged = 0
    for _ in range(1000):
        m = modes([rng.uniform(5, 6) for _ in range(n)])
        flagged += m is not None and m.significant
    assert flagged <= 20


@given(medians, factors)
def test_scaling_scales_the_modes(values: list[float], factor: float) -> None:
    plain, scaled = modes(values), modes([v * factor for v in values])
    assert plain is not None and scaled is not None
    assert scaled.p == pytest.approx(plain.p, abs=1e-6)


# --- steady state ----------------------------------------------------------------------------


def series(launches: int, iterations: int, warm: int, extra: float, seed: int) -> list[list[float]]:
    """Autocorrelated iterations of which the first `warm` are slower by `extra`."""
    rng = random.Random(seed)
    made = []
    for _ in range(launches):
        level, row = 0.0, []
        for i in range(iterations):
            level = 0.8 * level + rng.gauss(0, 0.02)
            row.append((1 + level) * (1 + extra if i < warm else 1))
        made.append(row)
    return made


def test_warm_up_is_found_where_it_ends() -> None:
    state = steady_state(series(10, 60, 8, 0.2, 1))
    assert state is not None and not state.reached
    assert state.starts_at == 8
    assert state.change == pytest.approx(0.2, abs=0.06)


def test_a_steady_series_is_called_so() -> None:
    states = [steady_state(series(7, 40, 0, 0, seed)) for seed in range(100)]
    assert sum(s is not None and not s.reached for s in states) <= 6


def test_a_series_that_never_settles() -> None:
    falling = [[2.0**-i * v for i, v in enumerate(noise(12, 0.01, s))] for s in range(8)]
    state = steady_state(falling)
    assert state is not None and state.starts_at is None


def test_a_change_too_small_to_matter_is_left_alone() -> None:
    state = steady_state([[1.05, *v] for v in (noise(99, 0.001, s) for s in range(10))])
    assert state is not None and state.reached and state.p < 0.02


def test_six_launches_cannot_tell() -> None:
    assert steady_state(series(6, 60, 8, 0.2, 1)) is None
    assert steady_state(series(10, 4, 1, 0.2, 1)) is None
    assert steady_state([]) is None


def test_a_coarse_clock_is_no_change() -> None:
    state = steady_state([[5.0] * 30] * 8)
    assert state is not None and state.reached


@settings(max_examples=20)
@given(st.integers(min_value=7, max_value=14))
def test_it_is_seeded(launches: int) -> None:
    data = series(launches, 30, 4, 0.1, launches)
    assert steady_state(data) == steady_state(data)
