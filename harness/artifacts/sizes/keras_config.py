"""What the configuration in a Keras file says about its layers: kinds, order, shapes. Keras is not
imported, so a file with layers that it does not have can be read, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

Shape = tuple[int | None, ...]

# Layers whose output has the shape of their input.
_SAME = frozenset(
    {
        *("Activation", "ActivityRegularization", "BatchNormalization", "Dropout", "ELU"),
        *("GaussianNoise", "LayerNormalization", "LeakyReLU", "Normalization", "PReLU", "ReLU"),
        *("RandomFlip", "RandomRotation", "Rescaling", "Softmax", "SpatialDropout2D", "Add"),
        *("Identity", "Multiply", "Average", "Maximum", "TrueDivide", "Subtract"),
    }
)


@dataclass(frozen=True)
class LayerConfig:
    """One layer: its own configuration, the layers it reads, and the shape it was built for. In a
    model that is used as a layer, `ends_in` is the layer that gives its output. `widens_to` are the
    channels of a constant that it adds, subtracts or multiplies by, which one channel becomes."""

    name: str
    kind: str
    options: Mapping[str, Any]
    reads: tuple[str, ...] = ()
    built_for: Shape | None = None
    ends_in: str | None = None
    widens_to: int | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return bool(self.options.get("trainable", True))


class Network:
    """All layers of a model, those of models inside it too, by name."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.layers: dict[str, LayerConfig] = {}
        self._add(config)

    def input_shape(self, name: str) -> Shape | None:
        """The layer's input shape, with None for the batch; None if it is unknown."""
        layer = self.layers.get(name)
        if layer is None:
            return None
        if layer.built_for is not None:
            return layer.built_for
        return self.output_shape(layer.reads[0]) if layer.reads else None

    def output_shape(self, name: str, depth: int = 0) -> Shape | None:
        """The layer's output shape; None if it is unknown."""
        layer = self.layers.get(name)
        if layer is None or depth > len(self.layers):
            return None
        if layer.ends_in:
            return self.output_shape(layer.ends_in, depth + 1)
        if layer.kind == "InputLayer":
            return _shape(
                layer.options.get("batch_shape") or layer.options.get("batch_input_shape")
            )
        given = layer.built_for
        if given is None and layer.reads:
            given = self.output_shape(layer.reads[0], depth + 1)
        return None if given is None else self._given(layer, given, depth)

    def _given(self, layer: LayerConfig, given: Shape, depth: int) -> Shape | None:
        kind, options = layer.kind, layer.options
        shape: Shape | None = None
        if kind in _SAME and layer.widens_to and given[-1] == 1:
            shape = (*given[:-1], layer.widens_to)
        elif kind in _SAME:
            shape = given
        elif kind == "Flatten":
            sides = [side for side in given[1:] if side is not None]
            shape = (None, prod(sides)) if len(sides) == len(given) - 1 else None
        elif kind == "Dense":
            shape = (*given[:-1], int(options["units"]))
        elif kind.startswith("Global") and "Pooling" in kind:
            shape = (given[0], given[-1])
        elif kind == "Concatenate":
            parts = [self.output_shape(name, depth + 1) for name in layer.reads]
            last = [part[-1] for part in parts if part is not None and part[-1] is not None]
            shape = (*given[:-1], sum(last)) if len(last) == len(parts) else None
        elif None not in given[1:-1]:
            sides = [side for side in given[1:-1] if side is not None]
            shape = _window_shape(kind, options, given[-1], sides)
        return shape

    # --- reading -----------------------------------------------------------------------------

    def _add(self, config: Mapping[str, Any]) -> str | None:
        """Add the layers of a model. Returns the one that gives its output."""
        inner = config.get("config", config)
        # Keras once wrote the layers of a Sequential without anything around them.
        layers = inner if isinstance(inner, list) else inner.get("layers", ())
        before: str | None = None
        for layer in layers:
            options = layer.get("config") or {}
            name = str(layer.get("name") or options.get("name"))
            reads = _names_in(layer.get("inbound_nodes") or ())
            if not reads and before is not None and "inbound_nodes" not in layer:
                reads = (before,)
            if before is None and options.get("batch_input_shape") and not reads:
                # Keras 2 let the first layer of a Sequential say what the input is.
                source = f"{name} input"
                self.layers[source] = LayerConfig(source, "InputLayer", options)
                reads = (source,)
            nested = isinstance(options, list) or "layers" in options
            ends_in = self._add(layer) if nested else None
            built = layer.get("build_config") or {}
            self.layers[name] = LayerConfig(
                name=name,
                kind=str(layer.get("class_name")),
                options=options if isinstance(options, dict) else {},
                reads=reads,
                built_for=_shape(built.get("input_shape")),
                ends_in=ends_in,
                widens_to=_constant_channels(layer.get("inbound_nodes") or ()),
            )
            before = name
        outputs = inner.get("output_layers") if isinstance(inner, dict) else None
        return (_names_in([outputs]) or (before,))[0] if outputs else before


def _shape(value: Any) -> Shape | None:
    """A shape as JSON has it; of several the first."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not all(isinstance(side, int | None) for side in value):
        return None
    return tuple(value)


def _names_in(node: Any) -> tuple[str, ...]:
    """The layers that a call's arguments name, in the ways of Keras 2 and 3."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return (str(node["config"]["keras_history"][0]),)
        return tuple(name for value in node.values() for name in _names_in(value))
    if isinstance(node, list | tuple):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            return (node[0],)
        return tuple(name for value in node for name in _names_in(value))
    return ()


def _constant_channels(node: Any) -> int | None:
    """The last extent of the first constant array among a call's arguments; None without one."""
    if isinstance(node, dict):
        if node.get("class_name") in ("__numpy__", "__tensor__"):
            value = node["config"]["value"]
            while isinstance(value, list) and value and isinstance(value[0], list):
                value = value[0]
            return len(value) if isinstance(value, list) else None
        node = list(node.values())
    if isinstance(node, list | tuple):
        found = (_constant_channels(value) for value in node)
        return next((channels for channels in found if channels is not None), None)
    return None


def _window_shape(
    kind: str, options: Mapping[str, Any], channels: int | None, sides: list[int]
) -> Shape | None:
    """The output shape of a padding, a convolution or a pooling; None for any other layer."""
    if kind == "ZeroPadding2D":
        return (
            None,
            *(side + sum(more) for side, more in zip(sides, options["padding"], strict=True)),
            channels,
        )
    size = options.get("kernel_size") or options.get("pool_size")
    if size is None or "Transpose" in kind:
        return None
    sizes = _each(size, len(sides))
    strides = _each(options.get("strides") or size, len(sides))
    steps = _each(options.get("dilation_rate") or 1, len(sides))
    padding = str(options.get("padding", "valid"))
    made = [_side(*one, padding) for one in zip(sides, sizes, strides, steps, strict=True)]
    if kind == "DepthwiseConv2D":
        return (None, *made, (channels or 0) * int(options.get("depth_multiplier", 1)))
    return (None, *made, options.get("filters", channels))


def _each(value: Any, count: int) -> list[int]:
    """One number for each side; Keras writes a list, or one number for all."""
    return [int(one) for one in value] if isinstance(value, list) else [int(value)] * count


def _side(side: int, size: int, stride: int, step: int, padding: str) -> int:
    """How many places a window takes along one side."""
    if padding == "same":
        return -(-side // stride)
    return max(0, (side - (size - 1) * step - 1) // stride + 1)
