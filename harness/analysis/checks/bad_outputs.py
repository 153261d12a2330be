"""Answers that no working model gives."""

from __future__ import annotations

import math

from harness.core.types import Artifact, Evaluation, Evidence, Finding, Outputs

# `input_source` of an input set that holds no picture.
_NOISE = "seeded random"
# Operators that keep only what a detector found.
_FOUND = ("DETECTION", "NON_MAX_SUPPRESSION", "TOPK")


def findings(evidence: Evidence) -> list[Finding]:
    """Not finite: the numbers must not be used. The same answer to every example: suspect, unless
    the model was never trained, may rightly have found nothing in random numbers, or tells other
    test images apart."""
    seen = [x.outputs for x in evidence.launches if x.outputs is not None]
    if any(not outputs.finite for outputs in seen):
        return [
            Finding(
                level="invalid",
                code="outputs-not-finite",
                message="an output is not a finite number",
                fix="check the conversion (float16 overflow, missing representative data) and "
                "the input range",
            )
        ]
    if any(x.constant and not _alike_here(x, evidence.evaluation) for x in seen):
        if detects(evidence.artifact) and all(x.input_source == _NOISE for x in seen):
            return [
                Finding(
                    level="warning",
                    code="outputs-constant",
                    message="the answer is the same for every example; the inputs were random "
                    "numbers, in which a detector rightly finds nothing",
                    fix="if it is not one, check the weights and how inputs are scaled",
                )
            ]
        return [
            Finding(
                level="warning" if evidence.artifact.trained is False else "serious",
                code="outputs-constant",
                message="the answer is the same for every example",
                fix="check the weights and how inputs are scaled",
            )
        ]
    return []


def _alike_here(outputs: Outputs, evaluation: Evaluation | None) -> bool:
    """Whether the examples are test images that this machine, too, answers alike, and others not:
    a sure model does so with pictures of one class."""
    if evaluation is None or outputs.input_source != evaluation.dataset:
        return False
    rows = evaluation.rows
    return len({*rows[: len(outputs.values)]}) == 1 < len({*rows})


def detects(artifact: Artifact) -> bool:
    """Whether the model looks for something, such as objects or one word. Its answer is then
    rightly the same for all inputs that hold none. Such a model has operators for detection, or its
    answer is a single number."""
    if any(word in kind.upper() for kind in artifact.ops for word in _FOUND):
        return True
    return len(artifact.outputs) == 1 and math.prod(artifact.outputs[0].shape) == 1
