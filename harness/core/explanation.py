"""Why a file is large, and what would make it smaller."""

from __future__ import annotations

from harness.core.base import Value


class Part(Value, frozen=True):
    """Bytes of a file by what they are for: weights, optimizer state, all else."""

    name: str
    size_bytes: int


class KindSize(Value, frozen=True):
    """All layers of one kind together; `macs` is None if those of one layer are unknown."""

    kind: str
    layers: int
    size_bytes: int
    parameters: int
    macs: int | None


class GreyCost(Value, frozen=True):
    """What reading a grey image as three equal channels costs in the first convolution: how much
    less its kernel would be if it were summed over its channels. `converted` says whether the
    network makes the copies itself; otherwise the app has to. `layer` is the convolution."""

    layer: str
    converted: bool
    size_bytes: int
    parameters: int
    macs: int | None


class Change(Value, frozen=True):
    """Something that makes the file smaller, with the size and the parameters it leads to.

    `code` names it for programs; `message` says in one sentence what it is about, `how` what to do.
    The sizes are computed from the shapes of the weights and hold to a few per cent.
    """

    code: str
    message: str
    how: str
    size_bytes: int
    parameters: int


class LayerShare(Value, frozen=True):
    """One layer with weights: bytes, parameters, multiply-accumulates (None: not known)."""

    name: str
    kind: str
    size_bytes: int
    parameters: int
    macs: int | None


class Explanation(Value, frozen=True):
    """What a .tflite, .keras or .h5 file is made of. `format` is its ending. `macs` are those of
    one inference, None with a reason in `macs_absent_because`. `frozen` counts the parameters that
    training leaves alone; None where the file does not say. The parts add up to the size."""

    path: str
    format: str
    size_bytes: int
    parameters: int
    macs: int | None
    parts: tuple[Part, ...]
    kinds: tuple[KindSize, ...]
    layers: tuple[LayerShare, ...]
    grey: GreyCost | None = None
    changes: tuple[Change, ...] = ()
    frozen: int | None = None
    optimizer: str | None = None
    macs_absent_because: str = ""
