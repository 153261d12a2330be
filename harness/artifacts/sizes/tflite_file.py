"""The layers of a .tflite file, read from its graph without a runtime."""

from __future__ import annotations

from math import prod

from harness.artifacts.sizes.layers import Layer
from harness.artifacts.tflite import macs
from harness.artifacts.tflite import model as tflite

_UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
# Which axis of the kernel (input 1) counts the outputs, and which the channels that are read.
_KERNELS = {
    "CONV_2D": (0, 3),
    "CONV_3D": (4, 3),
    "DEPTHWISE_CONV_2D": (3, 3),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (0, 3),
}
_CONVOLUTIONS = frozenset(_KERNELS) - {"FULLY_CONNECTED"}


def layers(model: tflite.Model) -> list[Layer]:
    """The operators of all graphs that store constants, in their order. A constant that several
    operators use belongs to the first of them."""
    seen: set[int] = set()
    return [
        layer
        for number, graph in enumerate(model.subgraphs)
        for layer in _Graph(graph, seen).layers(first=number == 0)
    ]


class _Graph:
    """One subgraph. `seen` are the buffers that belong to a layer already."""

    def __init__(self, graph: tflite.Subgraph, seen: set[int]) -> None:
        self._graph = graph
        self._seen = seen
        self._makers = {i: op for op in graph.operators for i in op.outputs}

    def layers(self, *, first: bool) -> list[Layer]:
        reader = self._first_convolution() if first else None
        found = []
        for operator in self._graph.operators:
            layer = self._layer(operator, reads_image=operator is reader)
            if layer is not None:
                found.append(layer)
        return found

    def _layer(self, operator: tflite.Operator, *, reads_image: bool) -> Layer | None:
        unpacks = operator.kind in _UNPACKING and operator.outputs
        if unpacks and self._constant(operator.outputs[0]) is not None:
            return None  # belongs to the operator that uses it
        kernel = None
        size = others = 0
        for place, index in enumerate(operator.inputs):
            tensor = self._constant(index)
            if tensor is None or tensor.buffer in self._seen:
                continue
            self._seen.add(tensor.buffer)
            size += tensor.data.size
            axes = _KERNELS.get(operator.kind)
            if place == 1 and axes and len(tensor.shape) > max(axes):
                kernel = tensor
            elif not tensor.dtype.startswith("int") or tensor.scales:
                others += tensor.elements
        if not size:
            return None
        common = {
            "name": _name(self._graph, operator),
            "kind": operator.kind,
            "size_bytes": size,
            "others": others,
            "macs": macs.of_operator(self._graph, operator),
        }
        if kernel is None:
            return Layer(**common, kernel=0, bits=0)  # type: ignore[arg-type]
        out, read = _KERNELS[operator.kind]
        dense = operator.kind == "FULLY_CONNECTED"
        channels = kernel.shape[read]
        return Layer(
            **common,  # type: ignore[arg-type]
            kernel=kernel.elements,
            bits=tflite.bits(kernel.dtype),
            dense=dense,
            inputs=channels,
            outputs=kernel.shape[out],
            positions=self._positions(operator, channels) if dense else 1,
            channels_read=channels if reads_image else None,
            converted=reads_image and self._image_channels() == 1,
        )

    def _constant(self, index: int) -> tflite.Tensor | None:
        """The constant behind a tensor, through the operators that only unpack it."""
        for _ in range(len(self._graph.operators) + 1):  # a damaged file may contain a cycle
            if index == tflite.ABSENT:
                return None
            tensor = self._graph.tensors[index]
            if tensor.data.size:
                return tensor
            maker = self._makers.get(index)
            if maker is None or maker.kind not in _UNPACKING or not maker.inputs:
                return None
            index = maker.inputs[0]
        return None

    def _positions(self, operator: tflite.Operator, inputs: int) -> int:
        """How many positions of an image a dense layer reads."""
        index = operator.inputs[0]
        for _ in range(len(self._graph.operators)):
            shape = self._graph.tensors[index].shape if index != tflite.ABSENT else ()
            if len(shape) == 4 and prod(shape[1:]) == inputs:
                return shape[1] * shape[2]
            maker = self._makers.get(index)
            if maker is None or maker.kind not in ("RESHAPE", "QUANTIZE", "DEQUANTIZE"):
                return 1
            index = maker.inputs[0] if maker.inputs else tflite.ABSENT
        return 1

    def _image_channels(self) -> int | None:
        shape = self._graph.tensors[self._graph.inputs[0]].shape if self._graph.inputs else ()
        return shape[3] if len(shape) == 4 else None

    def _first_convolution(self) -> tflite.Operator | None:
        """The convolution that reads the image, directly or through simple operators."""
        if self._image_channels() not in (1, 3):
            return None
        reached = {self._graph.inputs[0]}
        for operator in self._graph.operators:
            if not reached.intersection(operator.inputs):
                continue
            if operator.kind in _CONVOLUTIONS:
                return operator
            if operator.kind == "FULLY_CONNECTED":
                return None
            reached.update(operator.outputs)
        return None


def _name(graph: tflite.Subgraph, operator: tflite.Operator) -> str:
    outputs = [i for i in operator.outputs if i != tflite.ABSENT]
    return tflite.layer_name(graph.tensors[outputs[0]].name if outputs else operator.kind)
