"""What a model file was given for a picture, where that had to be assumed."""

from __future__ import annotations

from harness.core.types import Evidence, Finding, Tried
from harness.stats.accuracy import mcnemar

# Several ranges are tried, and one must stand out.
P_OF_CHANCE = 0.01


def findings(evidence: Evidence) -> list[Finding]:
    """A warning with what the alternatives did on the validation split, and whether one of them is
    clearly better. Nothing is said where the file or the user says what it wants."""
    evaluation = evidence.evaluation
    if evidence.artifact.model is not None or evaluation is None or evaluation.failure is not None:
        return []
    if evaluation.pixels is None or evaluation.pixels.source != "assumed":
        return []
    assumed = f"that it wants pixels {evaluation.pixels.name} was assumed"
    if not evaluation.tried:
        return [
            Finding(
                level="warning",
                code="assumed-pixels",
                message=f"{assumed}, and no other range was tried",
                fix="say what it wants with --pixels",
            )
        ]
    first, *others = evaluation.tried
    best = max(others, key=lambda tried: tried.right, default=first)
    if _clearly_better(best):
        return [
            Finding(
                level="warning",
                code="assumed-pixels",
                message=f"its accuracy is probably of pixels that it does not want: on {first.n} "
                f"images of the validation split {_share(first)} as assumed "
                f"({evaluation.pixels.name}), {_share(best)} with pixels {best.pixels.name}",
                fix=f"say what it wants: --pixels {best.pixels.name}",
            )
        ]
    said = ", ".join(f"{tried.pixels.name} {_share(tried)}" for tried in evaluation.tried)
    return [
        Finding(
            level="warning",
            code="assumed-pixels",
            message=f"{assumed}; on {first.n} images of the validation split no range is clearly "
            f"better: {said}",
            fix="say what it wants with --pixels",
        )
    ]


def _clearly_better(tried: Tried) -> bool:
    better = tried.only_so > tried.only_as_assumed
    return better and mcnemar(tried.only_so, tried.only_as_assumed) < P_OF_CHANCE


def _share(tried: Tried) -> str:
    return f"{tried.right / tried.n:.3f}"
