"""A runtime without fast kernels for this artifact's type: the time says nothing about a phone."""

from __future__ import annotations

from harness.core.types import Artifact, Evidence, Finding

_X86 = ("x86_64", "amd64", "i686", "x86")


def findings(evidence: Evidence) -> list[Finding]:
    """The last tflite-runtime has no int8 kernels for x86: it took 145 ms for a MobileNetV2 that
    litert ran in 6."""
    if (
        evidence.case.runtime != "tflite-runtime"
        or (evidence.device.abi or "").lower() not in _X86
        or not _is_int8(evidence.artifact)
    ):
        return []
    return [
        Finding(
            level="warning",
            code="slow-kernels",
            message="tflite-runtime has no fast int8 kernels for x86: this latency says nothing "
            "about a phone or about the model",
            fix="--runtime litert, or measure on the phone",
        )
    ]


def _is_int8(artifact: Artifact) -> bool:
    """Whether the model computes in int8, rather than only storing its weights in int8."""
    quantized = (t for t in (*artifact.inputs, *artifact.outputs) if t.scale is not None)
    return (
        "int8" in (artifact.recipe or "").split("+")
        or any(t.dtype in ("int8", "uint8") for t in quantized)
        or ("QUANTIZE" in artifact.ops and "int8" in artifact.weight_bytes)
    )
