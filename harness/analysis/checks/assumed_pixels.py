"""A model file whose range of pixel values had to be assumed."""

from __future__ import annotations

from harness.core.types import Evidence, Finding, Tried
from harness.stats.accuracy import mcnemar

# Several ranges are tried, and one must stand out.
P_OF_CHANCE = 0.01


def findings(evidence: Evidence) -> list[Finding]:
    """A warning with the accuracy of other ranges on the validation split, and whether one of them
    is clearly better. Nothing if the file or the user names the range."""
    evaluation = evidence.evaluation
    if evidence.artifact.model is not None or evaluation is None or evaluation.failure is not None:
        return []
    if evaluation.pixels is None or evaluation.pixels.source != "assumed":
        return []
    assumed = f"pixels {evaluation.pixels.name} were assumed as its input"
    if not evaluation.tried:
        return [
            Finding(
                level="warning",
                code="assumed-pixels",
                message=f"{assumed}, and no other range was tried",
                fix="name its range with --pixels",
            )
        ]
    first, *others = evaluation.tried
    best = max(others, key=lambda tried: tried.right, default=first)
    if _clearly_better(best):
        return [
            Finding(
                level="warning",
                code="assumed-pixels",
                message="its accuracy was probably measured with the wrong pixels: on "
                f"{first.n} images of the validation split it is {_share(first)} with the assumed "
                f"{evaluation.pixels.name} and {_share(best)} with {best.pixels.name}",
                fix=f"name its range: --pixels {best.pixels.name}",
            )
        ]
    said = ", ".join(f"{tried.pixels.name} {_share(tried)}" for tried in evaluation.tried)
    return [
        Finding(
            level="warning",
            code="assumed-pixels",
            message=f"{assumed}; on {first.n} images of the validation split no other range is "
            f"clearly better: {said}",
            fix="name its range with --pixels",
        )
    ]


def _clearly_better(tried: Tried) -> bool:
    better = tried.only_so > tried.only_as_assumed
    return better and mcnemar(tried.only_so, tried.only_as_assumed) < P_OF_CHANCE


def _share(tried: Tried) -> str:
    return f"{tried.right / tried.n:.3f}"
