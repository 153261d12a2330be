"""A device whose answers differ from the host's."""

from __future__ import annotations

from math import prod

from harness.analysis.checks._arithmetic import arithmetic
from harness.core.types import Evidence, Finding, Launch

# Kernels of two processors round differently: some steps of a quantized output; of a float output
# hundredths of the largest answer where the insides are quantized (or a GPU computes in float16),
# and next to nothing where they are float32.
STEPS = 4
SHARE = {"float32": 0.0005, "dynamic_range": 0.02, "int8": 0.02}
NOT_COMPARED = "not-compared-with-host"


def findings(evidence: Evidence) -> list[Finding]:
    """A difference beyond rounding means that the kernels of one side are wrong, and then their
    times say nothing."""
    if any(note.code == NOT_COMPARED for x in evidence.launches for note in x.notes):
        return []  # another finding says why, and what to do
    reasons = [x.absent["reference"] for x in evidence.launches if "reference" in x.absent]
    if reasons:
        return [_not_compared(reasons[0], evidence.case.runtime)]
    measured = evidence.metrics.get("parity_difference")
    launch = next((x for x in evidence.launches if x.outputs and x.reference), None)
    if launch is None or launch.reference is None:
        return []
    scales = [tensor.scale for tensor in evidence.artifact.outputs if tensor.scale]
    rows = launch.reference.values
    largest = max((abs(v) for row in rows for v in row if v is not None), default=0.0)
    if launch.parity is not None:
        largest = launch.parity.largest_answer
    kind = arithmetic(evidence.artifact) if evidence.case.delegate == "cpu" else "int8"
    tolerated = STEPS * max(scales) if scales else SHARE[kind] * largest
    point = None if measured is None else measured.point
    if point is not None and point <= tolerated:
        return _in_part(evidence, launch)
    how = (
        "an output is finite on only one of them"
        if point is None
        else f"an output differs by {point:.3g}, and rounding explains at most {tolerated:.3g}"
    )
    return [
        Finding(
            level="serious",
            code="answers-differ-from-host",
            message=f"{_who(evidence)} answer the same inputs differently: {how}",
            fix="try another version of the runtime, or of the emulator",
        )
    ]


def _who(evidence: Evidence) -> str:
    """On the host itself, the newer API of the runtime is compared with the older one."""
    if evidence.device.kind == "host":
        return "CompiledModel and the Interpreter"
    return f"{evidence.device.name} and the host"


def _in_part(evidence: Evidence, launch: Launch) -> list[Finding]:
    """Says that only the first values of a phone's long answers were compared."""
    wanted = sum(prod(output.shape) for output in evidence.artifact.outputs)
    kept = min((len(row) for row in launch.outputs.values), default=0) if launch.outputs else 0
    if launch.parity is not None or kept >= wanted:
        return []
    return [
        Finding(
            level="info",
            code="compared-in-part",
            message=f"the first {kept} of {wanted} values of each answer were compared with the "
            "host's",
        )
    ]


def _not_compared(why: str, runtime: str) -> Finding:
    fix = (
        "on a phone, use a runner of dialect A (devices.yaml: runner)"
        if runtime == "benchmark_model"
        else "check that the host can run the file: python -m harness bench FILE"
    )
    return Finding(
        level="warning",
        code=NOT_COMPARED,
        message=f"the answers were not compared with the host's: {why}",
        fix=fix,
    )
