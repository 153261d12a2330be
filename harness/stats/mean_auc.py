"""ROC AUC of three classes and more: the mean of the area of each class against the rest.

The areas are of the same images, so they err together, and how much so depends on the scores.
Their score intervals are therefore combined by Zou & Donner ("Construction of Confidence Limits
about Effect Measures", Statistics in Medicine 27, 2008) with the correlations between them that a
bootstrap shows: images are drawn with replacement, each class's from its own. The bootstrap's own
percentiles would be no interval where classes separate well: it never draws a wrong order that it
has not seen, and at an area of 1 they are a point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from harness.core.types import Estimate
from harness.stats.accuracy import Rows, auc
from harness.stats.series import SEED
from harness.stats.summaries import CONFIDENCE

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Array = NDArray[Any]

_DRAWS = 400
_DRAWN_AT_ONCE = 2_000_000  # weights in memory


def mean_auc(
    rows: Rows, truth: Sequence[int], classes: int, confidence: float = CONFIDENCE
) -> Estimate | None:
    """The mean area with its interval; None if a class has no example. The same scores give the
    same numbers."""
    areas = [
        area
        for k in range(classes)
        if (area := auc([row[k] for row in rows], [t == k for t in truth], confidence))
    ]
    if len(areas) < classes:
        return None
    import numpy as np

    point = fmean(area.point for area in areas)
    together = _correlations(np.asarray(rows, float), np.asarray(truth), classes)

    def reach(distances: list[float]) -> float:
        own = np.array(distances)
        return math.sqrt(max(0.0, float(own @ together @ own))) / classes

    return Estimate(
        point=point,
        ci_low=max(0.0, point - reach([area.point - area.ci_low for area in areas])),
        ci_high=min(1.0, point + reach([area.ci_high - area.point for area in areas])),
        confidence=confidence,
        n=len(rows),
    )


def _correlations(scores: Array, truth: Array, classes: int) -> Array:
    """(classes, classes): of the areas over draws of the images. Where an area is the same in
    every draw nothing is known of it, and 1 is the cautious answer."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    at_once = max(1, _DRAWN_AT_ONCE // len(truth))
    drawn = []
    for start in range(0, _DRAWS, at_once):
        weights = np.empty((min(at_once, _DRAWS - start), len(truth)))
        for k in range(classes):
            own = np.flatnonzero(truth == k)
            weights[:, own] = rng.multinomial(len(own), [1 / len(own)] * len(own), len(weights))
        drawn.append([_areas(scores[:, k], truth == k, weights) for k in range(classes)])
    areas: Array = np.concatenate(drawn, axis=1)
    off = areas - areas.mean(axis=1, keepdims=True)
    spread = np.sqrt((off * off).mean(axis=1))
    known = spread > 1e-12
    scale = np.where(known, spread, 1.0)
    found = (off @ off.T) / areas.shape[1] / np.outer(scale, scale)
    return np.where(np.outer(known, known), found, 1.0)


def _areas(scores: Array, positive: Array, weights: Array) -> Array:
    """(draws,): the area of each draw, an image counting as often as its weight says."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    places = np.searchsorted(scores[order], np.unique(scores))  # where ties begin
    sorted_weights, sign = weights[:, order], positive[order]
    ups = np.add.reduceat(np.where(sign, sorted_weights, 0.0), places, axis=1)
    downs = np.add.reduceat(np.where(sign, 0.0, sorted_weights), places, axis=1)
    below = np.cumsum(downs, axis=1) - downs
    return np.asarray(
        (ups * (below + downs / 2)).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1))
    )
