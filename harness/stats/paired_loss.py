"""How much less accurate one classifier may be than another that answered the same images.

Only the images on which exactly one of the two is right count: of `n` images, only the other got
`lost` right, and only this one got `gained` right. The true loss is P(lost) - P(gained), and what
is known of it is a one-sided exact test of "the loss is at least d" for any d. Its p is the chance,
were the loss d, of an outcome that is at least as strong evidence for a smaller loss: a smaller
lost - gained, or the same from fewer images that differ. The one nuisance parameter, P(gained),
takes the value that is likeliest if the loss is d (Tango, "Equivalence Test and Confidence Interval
for the Difference in Proportions for the Paired-Sample Design", Statistics in Medicine 17 (1998);
such "estimated" exact tests: Storer & Kim, JASA 85 (1990); Lloyd, Biometrics 64 (2008)). The upper
bound is the largest loss that the test does not reject.

There is no normal approximation in it, so it holds even if the two differ on no image. Because the
nuisance parameter is estimated, the test is not quite exact: enumerated over 5 to 600 images,
losses of half a point to 20 points, levels from 0.4 to 5 % and P(gained) up to 0.12, it rejected up
to 1.105 times as often as it should. So each p is made 1.11 times as large
(`benchmarks/verdict.py`, pieces).
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_EXACT_TO = 1e-7  # a hundred-thousandth of a point
_HALVINGS = 24  # halvings of an interval of losses at most 2 wide, to the same precision
_MOST_STEPS = 60
_AROUND = (-0.2, 0.2)  # standard deviations: where an exact bound lies beside that of the score
_CHUNK = 1 << 17  # numbers in memory at once, so many that a processor's cache holds them
SAFE = 1.11  # see above


def likeliest_gain(lost: ArrayLike, gained: ArrayLike, n: int, loss: ArrayLike) -> Floats:
    """The maximum-likelihood P(gained) if the true loss is `loss` (-1 to 1): the larger root of
    2 n q^2 - (lost + gained - (2 n - lost + gained) loss) q - gained loss (1 - loss)."""
    import numpy as np

    lost, gained, loss = (np.asarray(x, float) for x in (lost, gained, loss))
    b = lost + gained - (2 * n - lost + gained) * loss
    root = np.sqrt(np.maximum(0.0, b * b + 8 * n * gained * loss * (1 - loss)))
    # The two never add up to more than 1, and neither is negative.
    rate = np.clip((b + root) / (4 * n), np.maximum(0.0, -loss), (1 - loss) / 2)
    return np.asarray(rate)


def tail(at: ArrayLike, n: int, p_lost: ArrayLike, p_gained: ArrayLike) -> Floats:
    """P(lost - gained <= at) of `n` images. Exact except for rounding: the distribution is the
    inverse Fourier transform of its generating function, over a window beyond which there is less
    than 1e-12 of it."""
    import numpy as np

    at, p_lost, p_gained = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (at, p_lost, p_gained))
    )
    deviation = np.sqrt(n * np.maximum(0.0, p_lost + p_gained - (p_lost - p_gained) ** 2))
    reach = np.minimum(4 * n + 4, 2 * (8 * deviation + 40))
    sizes = (2 ** np.ceil(np.log2(reach))).astype(int)
    found = np.empty(len(at))
    for size in np.unique(sizes):
        (rows,) = np.nonzero(sizes == size)
        for part in np.array_split(rows, -(-len(rows) * size // _CHUNK)):
            found[part] = _tail_within(size, at[part], n, p_lost[part], p_gained[part])
    return np.clip(found, 0.0, 1.0)


def _tail_within(size: int, at: Floats, n: int, p_lost: Floats, p_gained: Floats) -> Floats:
    """The same, from a window of `size` outcomes about the mean; `size` is a power of two."""
    import numpy as np

    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    up, down = p_lost[:, None], p_gained[:, None]
    of_one = 1 - up - down + up * turn + down * turn.conj()
    mass = np.fft.irfft(_power(of_one, n), size, axis=1)
    first = np.floor(n * (up - down)).astype(int) - size // 2
    place = first + np.arange(size)
    inside = np.take_along_axis(mass, place % size, axis=1)
    return np.asarray(np.where(place <= at[:, None], inside, 0.0).sum(axis=1))


def _power(values: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    """values ** n by squaring. Numpy's own takes logarithms, and ten times as long."""
    import numpy as np

    found = np.ones_like(values)
    while n:
        if n & 1:
            found *= values
        values = values * values
        n >>= 1
    return found


def ties(
    lost: ArrayLike, gained: ArrayLike, n: int, p_lost: ArrayLike, p_gained: ArrayLike
) -> Floats:
    """P(the same lost - gained of `n` images from as many or fewer that differ); whole counts."""
    import numpy as np

    columns = (np.atleast_1d(np.asarray(x, float)) for x in (lost, gained, p_lost, p_gained))
    lost, gained, p_lost, p_gained = np.broadcast_arrays(*columns)
    apart = lost - gained
    # Most of it lies about this many gains; far below there is nothing to add up.
    middle = (np.sqrt(apart**2 + 4 * n**2 * p_lost * p_gained) - apart) / 2
    first = np.minimum(gained, middle) - 9 * np.sqrt(middle + 1) - 10
    first = np.maximum(np.floor(first), np.maximum(0, -apart))
    width = int((gained - first).max(initial=0)) + 1
    logs = _log_factorials(n)
    with np.errstate(divide="ignore"):
        log_lost, log_gained = np.log(p_lost), np.log(p_gained)
        log_neither = np.log(np.maximum(0.0, 1 - p_lost - p_gained))
    found = np.zeros(len(lost))
    for start in range(0, len(lost), rows := max(1, _CHUNK // width)):
        part = slice(start, start + rows)
        gains = first[part, None].astype(int) + np.arange(width)
        losses = gains + apart[part, None].astype(int)
        counted = (gains <= gained[part, None]) & (gains + losses <= n)
        gains, losses = np.where(counted, gains, 0), np.where(counted, losses, 0)
        rest = n - gains - losses
        chance = logs[n] - logs[gains] - logs[losses] - logs[rest]
        for times, log in ((losses, log_lost), (gains, log_gained), (rest, log_neither)):
            chance = chance + _times(times, log[part, None])
        found[part] = np.where(counted, np.exp(np.minimum(chance, 0.0)), 0.0).sum(axis=1)
    return found


def _times(counts: Floats, logs: Floats) -> Floats:
    """counts * logs, and 0 where the count is 0, because 0 ** 0 is 1."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts == 0, 0.0, counts * logs))


@lru_cache(maxsize=8)
def _log_factorials(n: int) -> Floats:
    import numpy as np

    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def p_at_least(lost: ArrayLike, gained: ArrayLike, n: int, loss: ArrayLike) -> Floats:
    """One-sided p of "the true loss is at least `loss`": small where that is excluded."""
    import numpy as np

    lost, gained, loss = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (lost, gained, loss))
    )
    p_gained = likeliest_gain(lost, gained, n, loss)
    p_lost = np.maximum(0.0, p_gained + loss)
    below = tail(lost - gained - 1, n, p_lost, p_gained)
    return np.minimum(1.0, SAFE * (below + ties(lost, gained, n, p_lost, p_gained)))


def upper(lost: ArrayLike, gained: ArrayLike, n: int, alpha: ArrayLike) -> Floats:
    """The largest loss that is not excluded at the one-sided level `alpha`; -1 to 1."""
    import numpy as np

    lost, gained, alpha = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (lost, gained, alpha))
    )

    def beyond(loss: Floats, of: NDArray[np.bool_] | slice = slice(None)) -> Floats:
        """Below 0 where the loss is not excluded, above 0 where it is."""
        p = p_at_least(lost[of], gained[of], n, loss)
        return np.asarray(np.log(alpha[of]) - np.log(np.maximum(p, 1e-300)))

    # If the search begins near the bound, between two score bounds, most tails are needed only
    # once.
    low, high = (score_bound(lost, gained, n, alpha, by) for by in _AROUND)
    at_low, at_high = beyond(low), beyond(high)
    low, at_low = np.where(at_low < 0, low, (lost - gained) / n), np.minimum(at_low, -1e-6)
    high, at_high = np.where(at_high >= 0, high, 1.0), np.maximum(at_high, 1e-6)
    # Regula falsi in its Illinois form, of all that are still open.
    moved = np.zeros(len(lost))
    for _ in range(_MOST_STEPS):
        open_ = high - low > _EXACT_TO
        if not open_.any():
            break
        a, b, f, g = low[open_], high[open_], at_low[open_], at_high[open_]
        at = np.clip(b - g * (b - a) / (g - f), a + _EXACT_TO / 2, b - _EXACT_TO / 2)
        found = beyond(at, open_)
        kept, before = found < 0, moved[open_]
        low[open_], high[open_] = np.where(kept, at, a), np.where(kept, b, at)
        # An end that stays twice in a row is halved, so that it moves too.
        at_low[open_] = np.where(kept, found, np.where(before > 0, f / 2, f))
        at_high[open_] = np.where(kept, np.where(before < 0, g / 2, g), found)
        moved[open_] = np.where(kept, -1, 1)
    return high


def score_bound(lost: Floats, gained: Floats, n: int, alpha: Floats, by: float) -> Floats:
    """The loss from which the outcome is as many standard deviations away as `alpha` stands for,
    and `by` more (Tango's interval)."""
    import numpy as np

    levels, place = np.unique(alpha, return_inverse=True)
    z = np.array([NormalDist().inv_cdf(min(1 - 1e-9, float(x) / SAFE)) for x in levels])
    z = z[place.reshape(alpha.shape)] - by
    low, high = (lost - gained) / n, np.ones(len(lost))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        gain = likeliest_gain(lost, gained, n, middle)
        spread = np.sqrt(n * np.maximum(0.0, 2 * gain + middle - middle**2))
        kept = lost - gained - n * middle > z * spread
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return high


def lower(lost: ArrayLike, gained: ArrayLike, n: int, alpha: ArrayLike) -> Floats:
    """The smallest loss that is not excluded at the one-sided level `alpha`; -1 to 1."""
    return -upper(gained, lost, n, alpha)
