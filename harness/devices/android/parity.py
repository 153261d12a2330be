"""The same inputs on the device and on this machine: tensors as the runner wants and gives them,
and whole answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import StableDeviceError
from harness.core.types import Artifact, Outputs, TensorInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_VALUES = 16  # of each answer, as in `Outputs`


class Tensor(NamedTuple):
    """One input of one example, as bytes in memory order."""

    shape: tuple[int, ...]
    data: bytes


def refusal(artifact: Artifact) -> str | None:
    """Why answers of this artifact cannot be compared; None if they can."""
    if artifact.signature is not None:
        return "benchmark_model takes inputs for the default signature only"
    if any(n <= 0 for tensor in artifact.outputs for n in tensor.shape):
        return "the shape of an output is not fixed"
    if any("STRING" in tensor.dtype.upper() for tensor in artifact.outputs):
        return "an output is text"
    return None


def examples(inputs: Path) -> list[list[Tensor]]:
    """The examples of an input set."""
    import numpy as np

    with np.load(inputs, allow_pickle=False) as archive:
        stacks = [archive[f"input_{i}"] for i in range(len(archive.files) - 1)]
    return [[_tensor(array) for array in example] for example in zip(*stacks, strict=True)]


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return Tensor(tuple(array.shape), array.tobytes())


def outputs(answers: Sequence[bytes], tensors: Sequence[TensorInfo], source: str) -> Outputs:
    """The runner's output files, one for each example, in the form of the host's answers. Raises
    StableDeviceError if a file has another size than the outputs."""
    rows = [_row(data, tensors) for data in answers]
    finite = all(value - value == 0 for row in rows for value in row)
    return Outputs(
        values=tuple(tuple(v if v - v == 0 else None for v in row[:MAX_VALUES]) for row in rows),
        finite=finite,
        constant=all(row == rows[0] for row in rows) if len(rows) > 1 else None,
        input_source=source,
    )


def _row(data: bytes, tensors: Sequence[TensorInfo]) -> list[float]:
    """All outputs, one after the other, dequantized and flat."""
    import numpy as np

    wanted = sum(map(size_of, tensors))
    if len(data) != wanted or not wanted:
        raise other_size(len(data), wanted, "parity")
    row: list[float] = []
    at = 0
    for tensor in tensors:
        kind = np.dtype(tensor.dtype)
        count = prod(tensor.shape)
        raw = np.frombuffer(data, kind, count, at).astype(np.float64)
        at += count * kind.itemsize
        scale = tensor.scale
        row += ((raw - (tensor.zero_point or 0)) * scale if scale else raw).tolist()
    return row


def size_of(tensor: TensorInfo) -> int:
    """The size of the tensor in bytes."""
    import numpy as np

    return prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def other_size(got: int, wanted: int, stage: str) -> StableDeviceError:
    """The error for a file of answers that is not as long as the model's outputs. The tool reports
    no error if it could not write the whole file."""
    return StableDeviceError(
        stage,
        f"the runner wrote {got:,} bytes of answers, and the model's outputs have {wanted:,}",
        "free some space on the phone, then run again"
        if got < wanted
        else "use another build of benchmark_model (devices.yaml: runner)",
    )
