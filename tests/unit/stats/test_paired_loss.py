"""The exact test of a paired loss, against enumeration, scipy and its own laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats import paired_loss
from tests.lazily import Lazily

optimize, stats = Lazily("scipy.optimize"), Lazily("scipy.stats")
proportion = Lazily("statsmodels.stats.proportion")

counts = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)).filter(
        lambda found: found[0] + found[1] <= n
    )
)


def _enumerated(at: int, n: int, p_lost: float, p_gained: float) -> float:
    """P(lost - gained <= at), outcome by outcome."""
    p = [p_lost, p_gained, 1 - p_lost - p_gained]
    return float(
        sum(
            stats.multinomial.pmf([lost, gained, n - lost - gained], n, p)
            for lost in range(n + 1)
            for gained in range(n + 1 - lost)
            if lost - gained <= at
        )
    )


@pytest.mark.parametrize("n", [1, 2, 5, 12])
@pytest.mark.parametrize("p", [(0.0, 0.0), (0.1, 0.0), (0.05, 0.2), (0.5, 0.5), (0.3, 0.3)])
def test_the_tail_is_what_enumeration_gives(n: int, p: tuple[float, float]) -> None:
    at = np.arange(-n - 1, n + 2)
    found = paired_loss.tail(at, n, *p)
    assert found == pytest.approx([_enumerated(int(a), n, *p) for a in at], abs=1e-10)


@pytest.mark.parametrize("n", [1, 5, 12])
@pytest.mark.parametrize("p", [(0.1, 0.0), (0.05, 0.2), (0.3, 0.3)])
def test_ties_are_what_enumeration_gives(n: int, p: tuple[float, float]) -> None:
    chances = [*p, 1 - sum(p)]
    for lost, gained in itertools.product(range(n + 1), repeat=2):
        if lost + gained <= n:
            exact = sum(
                stats.multinomial.pmf(
                    [gains + lost - gained, gains, n - 2 * gains - lost + gained], n, chances
                )
                for gains in range(max(0, gained - lost), gained + 1)
            )
            assert paired_loss.ties(lost, gained, n, *p)[0] == pytest.approx(exact, abs=1e-12)


def test_the_tail_of_many_images_without_gains_is_binomial() -> None:
    at = np.array([60, 80, 100, 120])
    found = paired_loss.tail(at, 5000, 0.02, 0.0)
    assert found == pytest.approx(stats.binom.cdf(at, 5000, 0.02), abs=1e-10)


@given(counts, st.floats(-0.9, 0.9))
def test_the_likeliest_gain_is_where_the_likelihood_is_highest(
    seen: tuple[int, int, int], loss: float
) -> None:
    lost, gained, n = seen

    def unlikely(gain: float) -> float:
        p = (gain + loss, gain, 1 - 2 * gain - loss)
        logs = (math.log(max(x, 1e-300)) for x in p)
        return -sum(m * log for m, log in zip((lost, gained, n - lost - gained), logs, strict=True))

    low, high = max(0.0, -loss), (1 - loss) / 2
    best = optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    own = float(paired_loss.likeliest_gain(lost, gained, n, loss))
    assert low <= own <= high
    assert unlikely(own) <= min(best.fun, unlikely(low), unlikely(high)) + 1e-6


@pytest.mark.parametrize("n", [1, 30, 180, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.004])
def test_where_nothing_tells_them_apart_the_bound_is_the_exact_one(n: int, alpha: float) -> None:
    exact = 1 - (alpha / paired_loss.SAFE) ** (1 / n)
    assert paired_loss.upper(0, 0, n, alpha)[0] == pytest.approx(exact, abs=1e-6)
    assert paired_loss.lower(0, 0, n, alpha)[0] == pytest.approx(-exact, abs=1e-6)


@pytest.mark.parametrize(("lost", "n"), [(9, 600), (20, 600)])
def test_without_gains_the_lower_limit_is_clopper_and_pearsons(lost: int, n: int) -> None:
    """A loss above 0 without gains is one share, for which statsmodels has the exact limit."""
    exact, _ = proportion.proportion_confint(lost, n, alpha=0.1 / paired_loss.SAFE, method="beta")
    assert paired_loss.lower(lost, 0, n, 0.05)[0] == pytest.approx(exact, abs=1e-5)


@settings(max_examples=60)
@given(counts, st.sampled_from([0.05, 0.01]))
def test_the_bounds_enclose_the_point_and_mirror(seen: tuple[int, int, int], alpha: float) -> None:
    lost, gained, n = seen
    low, high = (f(lost, gained, n, alpha)[0] for f in (paired_loss.lower, paired_loss.upper))
    assert -1 <= low <= (lost - gained) / n <= high <= 1
    assert paired_loss.upper(gained, lost, n, alpha)[0] == -low
    assert paired_loss.upper(lost, gained, n, alpha / 2)[0] >= high


@settings(max_examples=40)
@given(counts)
def test_a_larger_loss_is_never_harder_to_exclude(seen: tuple[int, int, int]) -> None:
    lost, gained, n = seen
    losses = np.linspace((lost - gained) / n, 0.99, 40)
    p = paired_loss.p_at_least(lost, gained, n, losses)
    assert (np.diff(p) <= 1e-9).all()


@pytest.mark.parametrize("n", [12, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.02])
@pytest.mark.parametrize("loss", [0.02, 0.05, 0.2])
def test_it_rejects_a_true_loss_no_more_often_than_it_may(
    n: int, alpha: float, loss: float
) -> None:
    lost, gained = (x.ravel() for x in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    inside = lost + gained <= n
    lost, gained = lost[inside], gained[inside]
    rejected = paired_loss.p_at_least(lost, gained, n, loss) <= alpha
    outcomes = np.stack([lost, gained, n - lost - gained], axis=1)
    for gain in np.linspace(0, (1 - loss) / 2 - 1e-9, 25):
        p = stats.multinomial.pmf(outcomes, n, [gain + loss, gain, 1 - 2 * gain - loss])
        assert p[rejected].sum() <= alpha + 1e-9
