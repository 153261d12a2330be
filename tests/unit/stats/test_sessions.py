"""Whether sessions tell more than their luck: the t test, against scipy."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.sessions import p_of_chance
from tests.lazily import Lazily

stats = Lazily("scipy.stats")


@pytest.mark.parametrize("n", [3, 5, 7])
def test_against_a_fixed_limit_it_is_the_t_test_of_scipy(n: int) -> None:
    beyond = np.random.default_rng(n).normal(0.05, 0.05, n).tolist()
    expected = stats.ttest_1samp(beyond, 0, alternative="greater").pvalue
    assert p_of_chance(beyond, one_baseline=False) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [3, 5])
def test_of_one_baseline_it_holds_its_level(n: int) -> None:
    rng = np.random.default_rng(n)
    luck = rng.normal(0, 0.05, (4_000, n + 1))
    found = [p_of_chance((row[1:] - row[0]).tolist(), one_baseline=True) for row in luck]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.012)  # 3.5 standard errors
    alone = [p_of_chance((row[1:] - row[0]).tolist(), one_baseline=False) for row in luck]
    assert np.mean(np.array(alone) <= 0.05) > 0.1  # what leaving out the baseline's luck would do


def test_sessions_that_do_not_differ_need_no_test() -> None:
    assert p_of_chance([0.1, 0.1, 0.1], one_baseline=True) == 0
    assert p_of_chance([-0.1, -0.1, -0.1], one_baseline=True) == 1


def test_an_even_number_of_sessions_is_not_answered() -> None:
    with pytest.raises(ValueError, match="even"):
        p_of_chance([0.1, 0.2], one_baseline=True)
