"""A layer, from either format: what it stores, and what its weights connect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.explanation import KindSize, LayerShare


@dataclass(frozen=True)
class Layer:
    """`kernel` counts the weights that are multiplied, `bits` is how many each takes in the file;
    `others` are biases and the like.

    A dense layer has `inputs` x `outputs` weights. `positions` is how many positions of an image a
    Flatten before it has joined into one vector; 1 without a Flatten. `channels_read` is the number
    of channels that the network's first convolution reads, None for all other layers.
    """

    name: str
    kind: str
    size_bytes: int
    kernel: int
    bits: int
    others: int = 0
    macs: int | None = 0
    dense: bool = False
    inputs: int = 0
    outputs: int = 0
    positions: int = 1
    channels_read: int | None = None
    converted: bool = False

    @property
    def parameters(self) -> int:
        """The number of values that the layer has learned."""
        return self.kernel + self.others

    @property
    def share(self) -> LayerShare:
        """The layer in the form that a report has."""
        return LayerShare(
            name=self.name,
            kind=self.kind,
            size_bytes=self.size_bytes,
            parameters=self.parameters,
            macs=self.macs,
        )


def by_kind(layers: Sequence[Layer]) -> tuple[KindSize, ...]:
    """The layers of each kind together, the largest kind first."""
    kinds: dict[str, list[Layer]] = {}
    for layer in layers:
        kinds.setdefault(layer.kind, []).append(layer)
    found = [
        KindSize(
            kind=kind,
            layers=len(of_kind),
            size_bytes=sum(layer.size_bytes for layer in of_kind),
            parameters=sum(layer.parameters for layer in of_kind),
            macs=total_macs(of_kind),
        )
        for kind, of_kind in kinds.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.size_bytes))


def total_macs(layers: Sequence[Layer]) -> int | None:
    """Their sum; None if one is unknown."""
    total = 0
    for layer in layers:
        if layer.macs is None:
            return None
        total += layer.macs
    return total
