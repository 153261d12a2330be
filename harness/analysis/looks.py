"""Which variants need not answer more test images, and what is known of those that stopped early.

A slow variant answers an eighth of the images, then a quarter, half, three quarters, and all. Its
answers matter for two questions: whether it can be recommended itself, and whether it is the most
accurate variant, against which the others' losses are measured. After each look it stops if both
questions are settled. The first is settled if it is shown to be within the margin of all others, or
shown to lose more than the margin against one of them, or *given up*. The second is settled if

- another variant is shown to be more accurate, so that no loss is measured against it, or
- each other variant is shown to lose no more than the margin against it, or shown to lose more than
  the margin against some variant, or is given up, where the slow one is within the margin itself.

A variant is given up if there is hardly a chance that all images would show it to be within the
margin of the other. It cannot be recommended then, so giving up never makes a wrong recommendation.
It may cost a right one, with the small chance `HARDLY`.

If the best variant is one that answered everything at once, the losses against it are bounded once,
at the whole error rate. If it is a slow one, the error rate is spent over the looks
(`stats/looks.py`), and by the union bound all bounds against it hold at all looks. "Shown to be
more accurate" needs no error rate of its own: it is one of these bounds, below 0. So wrong
recommendations stay as rare as without looks, which `benchmarks/looks.py` simulates. The images of
a split are in an order that follows from a hash of their pixels and the seed, so the first ones are
a sample.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.types import Loss
from harness.stats.looks import hardly_shown, parts
from harness.stats.with_the_best import ALPHA, Counts, Pairwise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

# With fewer images than this at the first look, there are no looks.
LEAST_AT_FIRST = 100
_EIGHTHS = (1, 2, 4, 6, 8)

Right = Mapping[str, Sequence[bool]]


def at(images: int) -> tuple[int, ...]:
    """The numbers of images after which there is a look; the last is all of them."""
    if images // 4 < LEAST_AT_FIRST:
        return (images,)
    plan = (images * eighths // 8 for eighths in _EIGHTHS)
    return tuple(n for n in plan if n >= LEAST_AT_FIRST)


# --- the rule, for many runs at once ------------------------------------------------------------


def is_beaten(known: Pairwise, slow: int) -> Bools:
    """By run, whether another variant is shown to be more accurate than the one of this index."""
    beaten: Bools = _without_column(known.above[:, slow], slow).min(axis=1) < 0
    return beaten


def is_settled(known: Pairwise, counted: Counts, slow: int, of: int, margin: float) -> Bools:
    """By run, whether the variant of this index need not answer any more of the `of` images."""
    out = _is_out(known, margin) | are_given_up(known, counted, slow, of, margin)
    others = out | (known.above[:, slow] <= margin)
    own = out[:, slow] | _is_within(known, slow, margin)
    settled: Bools = own & (is_beaten(known, slow) | _without_column(others, slow).all(axis=1))
    return settled


def are_given_up(known: Pairwise, counted: Counts, slow: int, of: int, margin: float) -> Bools:
    """By run and variant, whether it is given up because of the answers of variant number `slow`,
    which may be itself: runs x k."""
    import numpy as np

    from harness.stats.with_the_best import lost_of

    (both,), (seen,) = counted
    lost = lost_of(both)
    differ = (lost + lost.swapaxes(1, 2)) / seen
    hardly = hardly_shown(known.point, differ, seen, of, margin) & ~np.eye(
        both.shape[-1], dtype=bool
    )
    open_ = (known.above.max(axis=1) > margin) & ~_is_out(known, margin)
    keeps = _is_within(known, slow, margin)
    against_it: Bools = hardly[:, slow] & open_ & keeps[:, None]
    against_it[:, slow] = hardly[:, :, slow].any(axis=1) & open_[:, slow]
    return against_it


def _is_within(known: Pairwise, variant: int, margin: float) -> Bools:
    """By run, whether it is shown to be within the margin of all others."""
    within: Bools = known.above[:, :, variant].max(axis=1) <= margin
    return within


def _is_out(known: Pairwise, margin: float) -> Bools:
    """By run and variant, whether it is shown to lose more than the margin against one of them."""
    out: Bools = known.below.max(axis=1) > margin
    return out


def once_or_in_looks(once: Pairwise, last: Pairwise, slow: Sequence[int]) -> Pairwise:
    """The error rate for pairs of variants that answered all images: for pairs with one of `slow`,
    which were looked at before, what is left for the `last` look; for others the whole rate."""
    import numpy as np

    looked = np.zeros(once.above.shape[-1], bool)
    looked[list(slow)] = True
    pairs = looked[:, None] | looked[None, :]
    return once._replace(
        above=np.where(pairs, last.above, once.above), below=np.where(pairs, last.below, once.below)
    )


def _without_column(rows: NDArray[Any], place: int) -> NDArray[Any]:
    import numpy as np

    return np.delete(rows, place, axis=1)


# --- for one run --------------------------------------------------------------------------------


def settled(right: Right, slow: Collection[str], looks: Sequence[int], margin: float) -> set[str]:
    """Those of `slow` that can stop. All of `slow` have answered the same number of images: one of
    `looks`, but not the last. The other variants have answered at least as many, or fewer if they
    stopped at an earlier look."""
    names, counted, known = _at_look(right, len(right[next(iter(slow))]), looks, ALPHA)
    if len(names) < 2:
        return set()
    return {
        name for name in slow if is_settled(known, counted, names.index(name), looks[-1], margin)[0]
    }


def given_up(right: Right, looks: Sequence[int], margin: float) -> dict[str, int]:
    """The variants that were given up when a slow one (or they themselves) stopped, and after how
    many images it stopped."""
    found: dict[str, int] = {}
    for n in looks[:-1]:
        stopped = [name for name, answers in right.items() if len(answers) == n]
        if not stopped:
            continue
        names, counted, known = _at_look(right, n, looks, ALPHA)
        for slow in stopped:
            those = are_given_up(known, counted, names.index(slow), looks[-1], margin)[0]
            found |= {name: n for name, yes in zip(names, those, strict=True) if yes}
    return found


def losses(
    right: Right, slow: Collection[str], looks: Sequence[int], alpha: float = ALPHA
) -> dict[str, Loss]:
    """The losses of all variants. Those of `slow` were looked at and may have stopped at one of
    `looks`; the others have answered all images. The bounds hold together with confidence
    1 - `alpha`."""
    from harness.stats import with_the_best

    full = [name for name, answers in right.items() if len(answers) == looks[-1]]
    found: dict[str, Loss] = {}
    if full:
        counted = with_the_best.counts([right[name] for name in full])
        every = once_or_in_looks(
            with_the_best.pairwise(counted, alpha),
            with_the_best.pairwise(counted, parts(looks, alpha)[-1]),
            [full.index(name) for name in slow if name in full],
        )
        found = {name: _loss(every, i, looks[-1]) for i, name in enumerate(full)}
    for n in looks[:-1]:
        stopped = [name for name, answers in right.items() if len(answers) == n]
        if not stopped:
            continue
        names, _, known = _at_look(right, n, looks, alpha)
        for name in stopped:
            place = names.index(name)
            found[name] = _loss(known, place, n)
            if is_beaten(known, place)[0]:
                continue
            for i, other in enumerate(names):  # it may be the best: losses are against it too
                if other in found and other != name:
                    found[other] = _larger(found[other], known, place, i)
    return {name: found[name] for name in right if name in found}


def _at_look(
    right: Right, n: int, looks: Sequence[int], alpha: float
) -> tuple[list[str], Counts, Pairwise]:
    from harness.stats import with_the_best

    there = [name for name, answers in right.items() if len(answers) >= n]
    part = parts(looks, alpha)[list(looks).index(n)]
    counted = with_the_best.counts([right[name][:n] for name in there])
    return there, counted, with_the_best.pairwise(counted, part)


def _loss(known: Pairwise, variant: int, n: int) -> Loss:
    point, bound, at_least = (float(x[0, :, variant].max()) for x in known[:3])
    return Loss(point=point, bound=bound, at_least=at_least, n=n)


def _larger(loss: Loss, known: Pairwise, best: int, variant: int) -> Loss:
    """The loss if the variant of the index `best` may be the best as well."""
    point, bound, at_least = (float(x[0, best, variant]) for x in known[:3])
    return Loss(
        point=max(loss.point, point),
        bound=max(loss.bound, bound),
        at_least=max(loss.at_least, at_least),
        n=loss.n,
    )
