"""What would make a network's file smaller, with the size that each change would give. Pure
arithmetic on the shapes of its weights: no list of known networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.artifacts.sizes.layers import Layer
from harness.core.explanation import Change, GreyCost

# An int8 file has a scale (4 bytes) and a zero point (8) for each channel of a kernel, and both
# again for its bias.
_PER_CHANNEL_BYTES = 24
# A change that saves less than this share of the file is not listed.
_LEAST_GAIN = 0.02
_MOSTLY = 0.5


def changes(layers: Sequence[Layer], rest_bytes: int) -> tuple[Change, ...]:
    """The changes to a file whose layers take `size_bytes` each and everything else `rest_bytes`:
    other heads, fewer bits, and the best head with fewer bits. The smallest size is last."""
    before = _size(layers, rest_bytes)
    heads = _heads(layers, rest_bytes)
    found = [change for change, _ in heads]
    found += _fewer_bits(layers, rest_bytes)
    if heads:
        best, smaller = heads[-1]
        found += [
            change
            for change in _fewer_bits(smaller, rest_bytes, best)
            if change.code.endswith("int8")
        ]
    return tuple(c for c in found if c.size_bytes <= before * (1 - _LEAST_GAIN))


def grey_cost(layers: Sequence[Layer]) -> GreyCost | None:
    """What three grey channels cost; None unless the first convolution reads three channels."""
    first = next((layer for layer in layers if layer.channels_read == 3), None)
    if first is None:
        return None
    spared = first.kernel * 2 // 3
    return GreyCost(
        layer=first.name,
        converted=first.converted,
        size_bytes=spared * first.bits // 8,
        parameters=spared,
        macs=None if first.macs is None else first.macs * 2 // 3,
    )


def _size(layers: Sequence[Layer], rest_bytes: int) -> int:
    return rest_bytes + sum(layer.size_bytes for layer in layers)


def _parameters(layers: Sequence[Layer]) -> int:
    return sum(layer.parameters for layer in layers)


def _heads(layers: Sequence[Layer], rest_bytes: int) -> list[tuple[Change, list[Layer]]]:
    """Other ways to end a network that flattens an image into dense layers, the smallest last."""
    start = next((i for i, layer in enumerate(layers) if layer.positions > 1), None)
    if start is None:
        return []
    dense = [i for i in range(start, len(layers)) if layers[i].dense]
    first, hidden = layers[start], [layers[i] for i in dense[:-1]]
    held = sum(layers[i].parameters for i in (dense if not hidden else dense[:-1]))
    names = ", ".join(str(layer.outputs) for layer in hidden or [first])
    many = "s" if len(hidden) > 1 else ""
    message = (
        f"Flatten and the dense layer{many} of {names} outputs hold {_millions(held)} of "
        f"{_millions(_parameters(layers))} parameters"
    )
    pooled = _with_inputs(first, first.inputs // first.positions)
    smaller = [pooled if i == start else layer for i, layer in enumerate(layers)]
    found = [
        (
            Change(
                code="global-pooling",
                message=message,
                how="global average pooling instead of Flatten",
                size_bytes=_size(smaller, rest_bytes),
                parameters=_parameters(smaller),
            ),
            smaller,
        )
    ]
    if hidden:
        last = _with_inputs(layers[dense[-1]], first.inputs // first.positions)
        kept = [layer for i, layer in enumerate(layers) if i not in dense]
        kept.append(last)
        change = Change(
            code="global-pooling-only",
            message=message,
            how="global average pooling instead of Flatten, and no hidden dense layers",
            size_bytes=_size(kept, rest_bytes),
            parameters=_parameters(kept),
        )
        found.append((change, kept))
    return found


def _with_inputs(layer: Layer, inputs: int) -> Layer:
    """A dense layer that reads fewer inputs."""
    kernel = inputs * layer.outputs
    spared = (layer.kernel - kernel) * layer.bits // 8
    return replace(
        layer, inputs=inputs, kernel=kernel, positions=1, size_bytes=layer.size_bytes - spared
    )


def _fewer_bits(
    layers: Sequence[Layer], rest_bytes: int, after: Change | None = None
) -> list[Change]:
    """The change to two bytes per float weight, and to one; on top of `after` if that is given."""
    wide = sum(layer.kernel for layer in layers if layer.bits == 32)
    share = wide / max(1, _parameters(layers))
    if share < _MOSTLY:  # it is already quantized, or no kernel has float32 weights
        return []
    message = f"{share * 100:.0f} % of the parameters are float32 weights of 4 bytes each"
    ways = (
        ("float16", "2 bytes per weight: the recipe float16"),
        ("int8", "1 byte per weight: the recipe int8 or dynamic_range"),
    )
    return [
        Change(
            code=f"{after.code}+{code}" if after else code,
            message=after.message if after else message,
            how=f"{after.how}; then {how}" if after else how,
            size_bytes=rest_bytes + sum(_stored(layer, code) for layer in layers),
            parameters=_parameters(layers),
        )
        for code, how in ways
    ]


def _stored(layer: Layer, code: str) -> int:
    """Bytes of a layer whose float32 weights are stored in fewer."""
    if layer.bits != 32 or not layer.kernel:
        return layer.size_bytes
    others = layer.others * 4
    if code == "float16":
        return layer.kernel * 2 + others // 2
    return layer.kernel + others + layer.outputs * _PER_CHANNEL_BYTES


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"
