"""The arithmetic that a model computes in: only models of the same one are comparable."""

from __future__ import annotations

from harness.core.types import Artifact


def arithmetic(artifact: Artifact) -> str:
    """float32, dynamic_range or int8."""
    weights = max(artifact.weight_bytes, key=artifact.weight_bytes.__getitem__, default="float32")
    if weights not in ("int8", "uint8", "int4"):
        return "float32"
    whole = any(tensor.scale for tensor in artifact.inputs) or "QUANTIZE" in artifact.ops
    return "int8" if whole else "dynamic_range"
