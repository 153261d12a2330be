"""A small artifact whose answers are no longer those of the float model that it was made from.

There are two rules. Either is enough, and both need evidence beyond chance:

- It decides differently on more than one image in twenty: the whole interval of the agreement lies
  below 0.95. Quantizing moves scores by a few steps, which changes the decision only of images
  near the threshold. (This rule does not apply to pruning, which trains further.)
- It lost accuracy: below 98 % of the parent's, the limit that MLPerf Mobile sets to quantized image
  classifiers, and McNemar's p is below 0.05.
"""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats import accuracy

LEAST_AGREEMENT = 0.95
LEAST_OF_PARENT = 0.98
SIGNIFICANT = 0.05


def findings(evidence: Evidence) -> list[Finding]:
    """At most one: the loss of accuracy if it is proven, else the changed decisions."""
    mine, parent = evidence.evaluation, evidence.parent_evaluation
    if mine is None or parent is None or mine.agreement is None:
        return []
    found = mine.agreement
    share = accuracy.wilson(found.equal, found.n)
    # Either may have stopped before the last image: only images that both answered count.
    theirs, own = (e.right[: found.n] for e in (parent, mine))
    before, after = (accuracy.accuracy(right).point for right in (theirs, own))
    p = accuracy.paired(own, theirs).p
    differs = (
        f"{units.percent(1 - share.point)} of its decisions differ, scores by up to "
        f"{units.significant(found.largest, 2)} and {units.significant(found.mean, 2)} on average"
    )
    if after < LEAST_OF_PARENT * before and p < SIGNIFICANT:
        message = (
            f"less accurate than its float parent {parent.variant}: "
            f"{units.ratio(after)} against "
            f"{units.ratio(before)} (McNemar p {units.p_value(p)}); {differs}"
        )
    elif share.ci_high < LEAST_AGREEMENT and not _trained_on(evidence):
        message = f"its answers differ from those of its float parent {parent.variant}: {differs}"
    else:
        return []
    recipe = evidence.artifact.recipe or "the conversion"
    fix = (
        "lower the sparsity, or train longer"
        if _trained_on(evidence)
        else "calibrate with more and more varied images, or use int8-mixed (which keeps the worst "
        "layers in float), float16 or dynamic_range"
    )
    return [
        Finding(
            level="serious",
            code="quantization-broke-it" if not _trained_on(evidence) else "pruning-broke-it",
            message=f"{message}; recipe {recipe}",
            fix=fix,
        )
    ]


def _trained_on(evidence: Evidence) -> bool:
    """Whether the last recipe trains the network further, so that decisions may well change."""
    return (evidence.artifact.recipe or "").rpartition("+")[2] == "pruned"
