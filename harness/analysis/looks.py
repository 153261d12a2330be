"""Which variants need not answer more test images, and what is known of those that stopped early.

A slow variant answers an eighth of the images, then a quarter, half and all. After each look it
stops if more answers cannot change the decision: if it is shown not to be the most accurate, so
that no other variant's loss is measured against it; or if all others are shown to lose more than
the margin, so that it is the only one left. The error rate is divided among the looks
(`stats/looks.py`), half of each part on either side, so that wrong stars stay as rare as without
looks (simulated in `benchmarks/looks.py`). The order of a split's images follows from a hash of
their pixels and the seed, so the first ones are a random sample.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.stats.looks import parts

if TYPE_CHECKING:
    from harness.core.types import Loss

ALPHA = 0.05
# With fewer images than this at the first look, there are no looks.
LEAST_AT_FIRST = 100
_SHARES = (8, 4, 2, 1)
# A plan of fewer looks than these is not worth what it spends.
_LEAST_LOOKS = 3

Right = Mapping[str, Sequence[bool]]


def at(images: int) -> tuple[int, ...]:
    """The numbers of images after which there is a look; the last is all of them."""
    plan = tuple(images // share for share in _SHARES if images // share >= LEAST_AT_FIRST)
    return plan if len(plan) >= _LEAST_LOOKS else (images,)


def settled(right: Right, slow: Collection[str], looks: Sequence[int], margin: float) -> set[str]:
    """Those of `slow` that can stop. All of `slow` have answered the same number of images: one of
    `looks`, but not the last. The other variants have answered at least as many, or fewer if they
    stopped at an earlier look."""
    n = len(right[next(iter(slow))])
    known = _at_look(right, n, looks, ALPHA)
    if len(known) < 2:
        return set()
    done = {name for name in slow if known[name].at_least > 0}
    for name in slow:
        if all(loss.at_least > margin for other, loss in known.items() if other != name):
            done.add(name)
    return done


def losses(right: Right, looks: Sequence[int], alpha: float = ALPHA) -> dict[str, Loss]:
    """The losses of all variants. Some may have stopped at one of `looks`; the others have answered
    all images. The bounds hold together with confidence 1 - `alpha`."""
    from harness.stats import with_the_best

    full = [name for name, answers in right.items() if len(answers) == looks[-1]]
    found: dict[str, Loss] = {}
    if full:
        every = with_the_best.losses([right[n] for n in full], alpha=parts(looks, alpha)[-1])
        found = dict(zip(full, every, strict=True))
    for n in looks[:-1]:
        stopped = [name for name, answers in right.items() if len(answers) == n]
        if not stopped:
            continue
        known = _at_look(right, n, looks, alpha)
        if any(known[name].at_least <= 0 for name in stopped):
            return {**found, **known}  # it is the best, and the others' losses are against it
        found |= {name: known[name] for name in stopped}
    return {name: found[name] for name in right if name in found}


def _at_look(right: Right, n: int, looks: Sequence[int], alpha: float) -> dict[str, Loss]:
    from harness.stats import with_the_best

    there = [name for name, answers in right.items() if len(answers) >= n]
    part = parts(looks, alpha)[list(looks).index(n)]
    found = with_the_best.losses([right[name][:n] for name in there], alpha=part / 2)
    return dict(zip(there, found, strict=True))
