"""A .tflite file as plain values, read without a runtime.

Field numbers are those of LiteRT's schema.fbs. Every index is checked here, so that users of these
values need not check it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from harness.artifacts.tflite.flatbuffer import Damaged, Reader, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

_Item = TypeVar("_Item")

IDENTIFIER = b"TFL3"
ABSENT = -1  # the index of an optional input that is absent
_LEAST_BITS = {"int2": 2, "int4": 4, "uint4": 4, "bool": 8, "bfloat16": 16}
_UNSIZED = ("string", "resource", "variant")


@dataclass(frozen=True)
class Tensor:
    """`data` is the constant's raw bytes, empty for what is computed; `signature` is `shape` with
    -1 where the extent may vary; `scales` and `zero_points` have one item, one per slice along
    `channel_axis`, or none."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    buffer: int
    data: NDArray[np.uint8]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    channel_axis: int
    sparse: bool

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Operator:
    """`inputs` and `outputs` index the tensors of the subgraph; an input may be ABSENT."""

    kind: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class Subgraph:
    """A function of tensors, in the order of execution."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Signature:
    """A named way to call a subgraph; `inputs` and `outputs` give tensors their names."""

    key: str
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class Model:
    """The content of a file. Subgraph 0 is the one that runs if no signature is chosen. `notes` are
    the buffers that are not constants, by name."""

    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    notes: dict[str, bytes]


def bits(dtype: str) -> int:
    """Bits per stored number; 0 for what has no fixed size."""
    if dtype in _UNSIZED:
        return 0
    if dtype in _LEAST_BITS:
        return _LEAST_BITS[dtype]
    return 8 if dtype.startswith("float8") else int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz"))


def read(data: bytes) -> Model:
    """The whole file; raises Damaged. Takes milliseconds, as constants stay views into `data`."""
    reader = Reader(data)
    root = reader.root()
    buffers = [_buffer(reader, table) for table in root.tables(4)]
    notes = {
        table.text(0): _at(buffers, table.number(1, "I"), "buffer").tobytes()
        for table in root.tables(6)
    }
    codes = [_kind(table) for table in root.tables(1)]
    subgraphs = tuple(_subgraph(reader, table, buffers, codes) for table in root.tables(2))
    if not subgraphs:
        raise Damaged("it holds no graph")
    signatures = tuple(_signature(table, subgraphs) for table in root.tables(7))
    return Model(subgraphs, signatures, notes)


def _buffer(reader: Reader, table: Table) -> NDArray[np.uint8]:
    """Constants lie in the buffer or, in files of over 2 GB, behind the tables."""
    import numpy as np

    start, size = table.number(1, "Q"), table.number(2, "Q")
    if start > 1:
        reader.check(start, size)
        return np.frombuffer(reader.data, np.uint8, size, start)
    return table.array(0, "uint8").view(np.uint8)


def _kind(table: Table) -> tuple[str, bool]:
    """(name, whether it is a custom operator). Old files have the code in a byte."""
    custom = table.text(1)
    names, _ = _enumerations()
    code = max(table.number(0, "b"), table.number(3, "i"))
    name = names.get(code, f"BUILTIN_{code}")
    return (custom or name, True) if name == "CUSTOM" else (name, False)


def _subgraph(
    reader: Reader,
    table: Table,
    buffers: list[NDArray[np.uint8]],
    codes: list[tuple[str, bool]],
) -> Subgraph:
    tensors = tuple(_tensor(item, buffers) for item in table.tables(0))
    inputs, outputs = table.integers(1), table.integers(2)
    operators = tuple(_operator(reader, item, codes) for item in table.tables(3))
    for index in (*inputs, *outputs):
        _at(tensors, index, "tensor")
    for operator in operators:
        for index in (*operator.inputs, *operator.outputs):
            if index != ABSENT:
                _at(tensors, index, "tensor")
    table.text(4)
    return Subgraph(tensors, inputs, outputs, operators)


def _tensor(table: Table, buffers: list[NDArray[np.uint8]]) -> Tensor:
    _, types = _enumerations()
    code = table.number(1, "b")
    if code not in types:
        raise Damaged(f"it has a tensor of the unknown type {code}")
    if table.number(10, "I"):
        raise Damaged("it keeps constants in another file")
    shape = table.integers(0)
    index = table.number(2, "I")
    quantization = table.table(4)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis = 0
    if quantization is not None:
        scales = tuple(quantization.array(2, "float32").tolist())
        zero_points = quantization.integers(3, "int64")
        axis = quantization.number(6, "i")
        quantization.array(0, "float32")
        quantization.array(1, "float32")
    tensor = Tensor(
        name=table.text(3),
        shape=shape,
        signature=table.integers(7) or shape,
        dtype=types[code],
        buffer=index,
        data=_at(buffers, index, "buffer"),
        scales=scales,
        zero_points=zero_points,
        channel_axis=axis,
        sparse=table.table(6) is not None,
    )
    _check(tensor)
    return tensor


def _check(tensor: Tensor) -> None:
    """Raise Damaged unless shape, constant and quantization fit one another."""
    if not all(math.isfinite(scale) and scale >= 0 for scale in tensor.scales):
        raise Damaged(f"tensor {tensor.name!r} has an impossible scale")
    if len(tensor.scales) > 1 or len(tensor.zero_points) > 1:
        known = 0 <= tensor.channel_axis < len(tensor.shape)
        channels = tensor.shape[tensor.channel_axis] if known else -1
        if len(tensor.scales) != channels or len(tensor.zero_points) not in (0, 1, channels):
            raise Damaged(f"tensor {tensor.name!r} does not have one scale per channel")
    size = bits(tensor.dtype)
    if tensor.data.size == 0 or tensor.sparse or size == 0:
        return
    if min(tensor.shape, default=0) < 0 or tensor.data.size != -(-tensor.elements * size // 8):
        raise Damaged(
            f"tensor {tensor.name!r} has {tensor.data.size} bytes, but its shape needs another"
        )


def _operator(reader: Reader, table: Table, codes: list[tuple[str, bool]]) -> Operator:
    kind, custom = _at(codes, table.number(0, "I"), "operator code")
    table.array(5, "uint8")
    table.table(12)
    start = table.number(9, "Q")
    if start > 1:
        reader.check(start, table.number(10, "Q"))
    return Operator(kind, custom, table.integers(1), table.integers(2), table.table(4))


def _signature(table: Table, subgraphs: tuple[Subgraph, ...]) -> Signature:
    index = table.number(4, "I")
    tensors = _at(subgraphs, index, "subgraph").tensors
    inputs, outputs = (
        {item.text(0): item.number(1, "I") for item in table.tables(slot)} for slot in (0, 1)
    )
    for number in (*inputs.values(), *outputs.values()):
        _at(tensors, number, "tensor")
    return Signature(table.text(2), index, inputs, outputs)


@lru_cache(maxsize=1)
def _enumerations() -> tuple[dict[int, str], dict[int, str]]:
    """(operators, tensor types) by number; types named as numpy names them."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType

    operators = {code: name for name, code in vars(BuiltinOperator).items() if name[0] != "_"}
    types = {code: name.lower() for name, code in vars(TensorType).items() if name[0] != "_"}
    return operators, types


def _at(items: list[_Item] | tuple[_Item, ...], index: int, what: str) -> _Item:
    if not 0 <= index < len(items):
        raise Damaged(f"it refers to {what} {index}, and there are {len(items)}")
    return items[index]


def layer_name(tensor: str) -> str:
    """A readable name of the layer that makes a tensor: `model_1/block1/conv_1/Relu;model_1/...` is
    block1/conv."""
    parts = tensor.partition(";")[0].split("/")
    if len(parts) < 3:
        return tensor
    return "/".join(re.sub(r"_1$", "", part) for part in parts[1:-1])
