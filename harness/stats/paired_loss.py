"""How much less accurate one classifier may be than another that answered the same images.

Only the images on which exactly one of the two is right tell them apart: `lost` of `n` only the
other got right, `gained` only this one. The true loss is P(lost) - P(gained), and what is known of
it is a one-sided test of "the loss is at least d" for any d:

    p(d) = P(lost - gained <= what was seen),

an exact tail of the trinomial distribution whose loss is d. Its one nuisance parameter, P(gained),
takes the value that is likeliest if the loss is d (Tango, "Equivalence Test and Confidence
Interval for the Difference in Proportions for the Paired-Sample Design", Statistics in Medicine 17
(1998); such "estimated" exact tests: Storer & Kim, JASA 85 (1990); Lloyd, Biometrics 64 (2008)).
The upper bound is the largest loss that the test does not reject.

There is no normal approximation in it, so it holds where no image tells the two apart: then it is
1 - alpha ** (1 / n), as it should be. Enumerated over sizes from 30 to 2,000, losses of 2 and 5
points, levels from 0.4 to 5 % and all P(gained), it never rejects more often than it may
(`benchmarks/verdict.py --pieces`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_HALVINGS = 24  # of an interval of losses at most 2 wide: to a hundred-thousandth of a point
_CHUNK = 1 << 20  # complex numbers that are held at once


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
    """P(lost - gained <= at) of `n` images. Exact but for rounding: the distribution is the inverse
    Fourier transform of its generating function, over a window beyond which there is less than
    1e-12 of it."""
    import numpy as np

    at, p_lost, p_gained = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (at, p_lost, p_gained))
    )
    mean = n * (p_lost - p_gained)
    deviation = np.sqrt(n * np.maximum(0.0, p_lost + p_gained - (p_lost - p_gained) ** 2))
    reach = min(4 * n + 4, 2 * (8 * float(deviation.max(initial=0.0)) + 40))
    size = 1 << int(np.ceil(np.log2(reach)))
    turn = np.exp(-2j * np.pi * np.arange(size) / size)
    found = np.empty(len(at))
    for start in range(0, len(at), rows := max(1, _CHUNK // size)):
        part = slice(start, start + rows)
        up, down = p_lost[part, None], p_gained[part, None]
        mass = np.fft.ifft((1 - up - down + up * turn + down * turn.conj()) ** n, axis=1).real
        first = np.floor(mean[part, None]).astype(int) - size // 2
        place = first + np.arange(size)
        inside = np.take_along_axis(mass, place % size, axis=1)
        found[part] = np.where(place <= at[part, None], inside, 0.0).sum(axis=1)
    return np.clip(found, 0.0, 1.0)


def p_at_least(lost: ArrayLike, gained: ArrayLike, n: int, loss: ArrayLike) -> Floats:
    """One-sided p of "the true loss is at least `loss`": small where that is excluded."""
    import numpy as np

    lost, gained, loss = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (lost, gained, loss))
    )
    gain = likeliest_gain(lost, gained, n, loss)
    return tail(lost - gained, n, np.maximum(0.0, gain + loss), gain)


def upper(lost: ArrayLike, gained: ArrayLike, n: int, alpha: ArrayLike) -> Floats:
    """The largest loss that is not excluded at the one-sided level `alpha`; -1 to 1."""
    import numpy as np

    lost, gained, alpha = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (lost, gained, alpha))
    )
    low, high = (lost - gained) / n, np.ones(len(lost))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        kept = p_at_least(lost, gained, n, middle) > alpha
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return high


def lower(lost: ArrayLike, gained: ArrayLike, n: int, alpha: ArrayLike) -> Floats:
    """The smallest loss that is not excluded at the one-sided level `alpha`; -1 to 1."""
    return -upper(gained, lost, n, alpha)
