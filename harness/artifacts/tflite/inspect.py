"""What can be read from a .tflite file without running it: sizes, weights, operators, inputs.
Weights are the constants that a network learns or could learn: kernels, biases, slopes, constant
summands and factors. Shapes, axes, paddings and other whole-number constants do not count as
weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.artifacts.sizes import changes, tflite_file
from harness.artifacts.tflite import answers, macs, metadata, scaling
from harness.artifacts.tflite import model as tflite
from harness.artifacts.tflite.flatbuffer import Damaged
from harness.core import pixels
from harness.core.errors import UnusableFileError, UsageError
from harness.core.pixels import LEAST_STEPS, Pixels, of_quantization, step_of
from harness.core.types import Artifact, Finding, LayerSize, TensorInfo
from harness.system import files

GZIP_LEVEL = 6  # what `gzip` and most servers use
LARGEST_INPUT_BYTES = 2**30
_DTYPES = frozenset(
    {
        "bool",
        *("float16", "float32", "float64"),
        *("int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
    }
)

# Operators whose only work is to bring a constant into the form in which another one wants it.
_UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
_BIAS_AT = {
    "CONV_2D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2,
    "CONV_3D": 2,
    "TRANSPOSE_CONV": 3,
    "CONV_3D_TRANSPOSE": 3,
}


def inspect_cached(
    path: Path, cache: Path, *, variant: str, signature: str | None = None
) -> Artifact:
    """`inspect`, remembered in `cache` by the file's content, so that a large file of the user's
    own is not compressed again in every run. A cache that cannot be used costs only time."""
    if not path.is_file():
        return inspect(path, variant=variant, signature=signature)
    asked = hashlib.sha256(repr(signature).encode()).hexdigest()[:8]
    modules = (answers, changes, macs, metadata, pixels, scaling, tflite_file)
    sources = [Path(__file__), *(Path(module.__file__ or "") for module in modules)]
    code = b"".join(source.read_bytes() for source in sources)
    ours = hashlib.sha256(code).hexdigest()[:8]
    kept = cache / "inspected" / f"{files.sha256(path)}-{asked}-{ours}.json"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        known = msgspec.json.decode(kept.read_bytes(), type=Artifact)
        return msgspec.structs.replace(known, variant=variant, path=str(path.absolute()))
    artifact = inspect(path, variant=variant, signature=signature)
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(kept, msgspec.json.encode(artifact))
    return artifact


def inspect(path: Path, *, variant: str, signature: str | None = None) -> Artifact:
    """The artifact at `path`, named `variant`, which is called through `signature` if one is given.

    `macs` are those of one inference; the operators and weights are those of the whole file.
    `gzip_bytes` is the length at level 6 with no name and no time in the header, so that it follows
    from the bytes alone. That takes some seconds per 100 MB, all else a fraction of one.

    Raises UsageError, whose message begins with the path, if the file cannot be measured: it is
    missing, or needs a signature. It is an UnusableFileError if the reason is in the file: cut
    short, without fixed input shapes, and so on.
    """
    data = _read(path)
    try:
        model = tflite.read(data)
    except Damaged as error:
        raise _cannot_read(path, str(error)) from None
    chosen = _choose(path, model, signature)
    inputs, outputs = _named(model, chosen, ordered_by_name=signature is not None)
    graph = model.subgraphs[chosen.subgraph if chosen else 0]
    for name, index in inputs:
        _check_input(path, name, graph.tensors[index])
    if not inputs:
        raise UnusableFileError(
            f"{path} has no inputs", "it computes a constant and cannot be measured"
        )
    contents = _Contents()
    for subgraph in model.subgraphs:
        contents.add(subgraph)
    layers = tflite_file.layers(model)
    told = metadata.read(model.notes.get(metadata.NAME, b""), data)
    infos = tuple(_info(name, graph.tensors[index]) for name, index in inputs)
    return Artifact(
        variant=variant,
        path=str(path.absolute()),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        gzip_bytes=_gzip_bytes(data),
        parameters=contents.parameters,
        sparsity=contents.zeros / contents.parameters if contents.parameters else None,
        macs=macs.of_graph(graph),
        inputs=infos,
        outputs=tuple(_info(name, graph.tensors[index]) for name, index in outputs),
        signature=signature,
        ops=dict(contents.ops.most_common()),
        weight_bytes=dict(contents.weight_bytes.most_common()),
        layers=tuple(contents.layers),
        grey=changes.grey_cost(layers),
        changes=changes.changes(layers, len(data) - sum(layer.size_bytes for layer in layers)),
        answers=answers.kind(graph, outputs[0][1]) if outputs else None,
        findings=(
            *_open_batch([graph.tensors[index] for _, index in inputs]),
            *_float64([(name, graph.tensors[index]) for name, index in inputs]),
        ),
        pixels=_pixels(told.pixels, graph, inputs[0][1], infos[0]),
        labels=told.labels,
    )


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "give a .tflite file")
        if not path.exists():
            raise UsageError(f"{path} does not exist", "give a .tflite file or a variant's name")
        if not path.is_file():
            raise UsageError(f"{path} is not a regular file", "give a .tflite file")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "make it readable") from None
    if not data:
        raise UnusableFileError(f"{path} is empty", "copy or convert it again")
    if data[4:8] != tflite.IDENTIFIER:
        raise UnusableFileError(
            f"{path} is not a TFLite model", "convert the model to .tflite first"
        )
    return data


def _cannot_read(path: Path, why: str) -> UnusableFileError:
    return UnusableFileError(f"{path} is damaged: {why}", "copy or convert it again")


def _choose(path: Path, model: tflite.Model, key: str | None) -> tflite.Signature | None:
    """The signature through which the model is called. A single signature only names the inputs and
    outputs."""
    if key is None and len(model.signatures) <= 1:
        # The only signature may be of a subgraph that does not run by itself; it is then ignored.
        return next((s for s in model.signatures if s.subgraph == 0), None)
    names = ", ".join(s.key for s in model.signatures)
    if key is None:
        raise UsageError(
            f"{path} has several signatures: {names}", "choose one with --signature NAME"
        )
    for signature in model.signatures:
        if signature.key == key:
            return signature
    raise UsageError(
        f"{path} has no signature {key!r}",
        f"it has {names}" if names else "it has none; leave --signature out",
    )


_Named = list[tuple[str, int]]


def _named(
    model: tflite.Model, chosen: tflite.Signature | None, *, ordered_by_name: bool
) -> tuple[_Named, _Named]:
    """(name, tensor) of each input and output, in the order in which a runtime lists them: that of
    the graph or, called through a signature, that of the names."""
    if chosen is not None and ordered_by_name:
        return sorted(chosen.inputs.items()), sorted(chosen.outputs.items())
    graph = model.subgraphs[0]
    given = ({}, {}) if chosen is None else (chosen.inputs, chosen.outputs)
    names = [{index: name for name, index in tensors.items()} for tensors in given]
    inputs, outputs = (
        [(known.get(index, graph.tensors[index].name), index) for index in indices]
        for known, indices in zip(names, (graph.inputs, graph.outputs), strict=True)
    )
    return inputs, outputs


def _check_input(path: Path, name: str, tensor: tflite.Tensor) -> None:
    """Raise UnusableFileError unless the harness can make values for the input."""
    shape = list(tensor.signature)
    if tensor.dtype == "string":
        raise UnusableFileError(
            f"{path}: input {name!r} takes strings", "give a model that takes numbers"
        )
    if tensor.dtype not in _DTYPES:
        raise UnusableFileError(
            f"{path}: input {name!r} is {tensor.dtype}, which the harness cannot make values for",
            "give a model that takes float32, float16 or whole numbers of 8 to 64 bits",
        )
    if -1 in shape[1:] or (shape[:1] == [-1] and tensor.shape[:1] != (1,)):
        raise UnusableFileError(
            f"{path}: input {name!r} has the shape {shape}, where -1 is left open",
            "convert the model with a fixed shape",
        )
    if min(tensor.shape, default=1) < 0 or len(tensor.signature) != len(tensor.shape):
        raise _cannot_read(path, f"input {name!r} has the shape {list(tensor.shape)}")
    if tensor.elements == 0:
        raise UnusableFileError(
            f"{path}: input {name!r} has the shape {shape} and so no elements",
            "convert the model with a shape that has elements",
        )
    if tensor.elements * tflite.bits(tensor.dtype) // 8 > LARGEST_INPUT_BYTES:
        raise UnusableFileError(
            f"{path}: input {name!r} has the shape {shape}, more than a GiB",
            "convert the model for smaller inputs",
        )


def _open_batch(inputs: list[tflite.Tensor]) -> tuple[Finding, ...]:
    """A finding for a file with an open batch size, which is Keras's default. Such a file stores a
    batch of 1, which is also what a runtime allocates, so it is measured with that."""
    if all(-1 not in tensor.signature for tensor in inputs):
        return ()
    return (
        Finding(
            level="info",
            code="open-batch",
            message="the file leaves the batch size open; it is measured with a batch of 1",
            fix="convert the model with a fixed batch size to measure another one",
        ),
    )


def _info(name: str, tensor: tflite.Tensor) -> TensorInfo:
    quantized = len(tensor.scales) == 1 and tensor.scales[0] > 0
    return TensorInfo(
        name=name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        scale=tensor.scales[0] if quantized else None,
        zero_point=(*tensor.zero_points, 0)[0] if quantized else None,
    )


def _pixels(
    told: Pixels | None, graph: tflite.Subgraph, given: int, info: TensorInfo
) -> Pixels | None:
    """What the file's metadata say, else the arithmetic at the input, else its quantization. It is
    only assumed where the input's quantization tells another range."""
    known = told or scaling.pixels(graph, given)
    stored = of_quantization(info.dtype, info.scale, info.zero_point)
    if known is None or stored is None:
        return known or stored
    steps = known.steps(step_of(info.dtype, info.scale))
    if steps is not None and steps < LEAST_STEPS:  # it would see one colour
        return msgspec.structs.replace(stored, source="assumed")
    if told is None and stored.source == "quantization" and stored.name != known.name:
        return msgspec.structs.replace(known, source="assumed")
    return known


def _gzip_bytes(data: bytes) -> int:
    """The length of the file gzipped. zlib writes the header of 10 bytes with mtime 0."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    view = memoryview(data)
    pieces = (view[start : start + 2**20] for start in range(0, len(view), 2**20))
    return sum(len(packer.compress(piece)) for piece in pieces) + len(packer.flush())


@dataclass
class _Contents:
    """Operators and constants, added up. What is stored once is counted once and belongs to the
    first operator that uses it: signatures share weights, and converters store equal constants
    such as the zero biases of an untrained model once."""

    ops: Counter[str] = field(default_factory=Counter)
    weight_bytes: Counter[str] = field(default_factory=Counter)
    layers: list[LayerSize] = field(default_factory=list)
    parameters: int = 0
    zeros: int = 0
    seen: set[int] = field(default_factory=set)

    def add(self, graph: tflite.Subgraph) -> None:
        """Count what `graph` does and owns."""
        packed: dict[int, int] = {}  # output of an unpacking operator -> the constant it unpacks
        for operator in graph.operators:
            self.ops[operator.kind] += 1
            if operator.kind in _UNPACKING and operator.inputs and operator.outputs:
                source = packed.get(operator.inputs[0], operator.inputs[0])
                if source != tflite.ABSENT and graph.tensors[source].data.size:
                    packed[operator.outputs[0]] = source
                    continue
            self._own(graph, operator, [packed.get(i, i) for i in operator.inputs])

    def _own(self, graph: tflite.Subgraph, operator: tflite.Operator, inputs: list[int]) -> None:
        size = parameters = 0
        for place, index in enumerate(inputs):
            if index == tflite.ABSENT:
                continue
            tensor = graph.tensors[index]
            if tensor.data.size == 0 or tensor.buffer in self.seen:
                continue
            self.seen.add(tensor.buffer)
            size += tensor.data.size
            if _is_weight(operator, place, tensor):
                parameters += tensor.elements
                self.zeros += _zeros(tensor)
                self.weight_bytes[tensor.dtype] += tensor.data.size
        self.parameters += parameters
        if size:
            outputs = [graph.tensors[i].name for i in operator.outputs if i != tflite.ABSENT]
            self.layers.append(
                LayerSize(
                    name=outputs[0] if outputs else operator.kind,
                    op=operator.kind,
                    size_bytes=size,
                    parameters=parameters,
                    macs=macs.of_operator(graph, operator),
                )
            )


def _is_weight(operator: tflite.Operator, place: int, tensor: tflite.Tensor) -> bool:
    if tensor.dtype in ("int32", "int64"):
        return _BIAS_AT.get(operator.kind) == place or bool(tensor.scales)
    return tensor.dtype.lstrip("u").startswith(("int", "float", "bfloat")) and (
        tensor.dtype not in ("uint32", "uint64")
    )


def _zeros(tensor: tflite.Tensor) -> int:
    """How many elements stand for zero. A sparse tensor does not store them, or not all."""
    import numpy as np

    stored = _stored(tensor)
    points = np.array(tensor.zero_points or (0,))
    if len(set(tensor.zero_points)) <= 1:
        points = points[:1]
    elif not tensor.sparse:
        stored = stored.reshape(tensor.shape)
        points = points.reshape([-1 if i == tensor.channel_axis else 1 for i in range(stored.ndim)])
    else:
        return 0  # the format quantizes sparse tensors as a whole
    nonzero = np.count_nonzero(stored if not points.any() else stored != points)
    return tensor.elements - int(nonzero)


def _stored(tensor: tflite.Tensor) -> tflite.Array:
    """The numbers of a constant, 1-D; those of less than a byte unpacked."""
    import numpy as np

    size = tflite.bits(tensor.dtype)
    if size < 8:
        shifts = np.arange(0, 8, size, dtype=np.uint8)
        packed = (tensor.data[:, None] >> shifts) & np.uint8(2**size - 1)
        small = packed.reshape(-1)[: tensor.elements].astype(np.int8)
        if tensor.dtype.startswith("u"):
            return small
        return np.where(small >= 2 ** (size - 1), small - 2**size, small)
    if tensor.dtype.startswith(("bfloat", "float8")):
        kind = np.dtype(f"<u{size // 8}")
        without_sign = tensor.data.view(kind) & kind.type(2 ** (size - 1) - 1)
        return np.asarray(without_sign)
    return tensor.data.view(np.dtype(tensor.dtype).newbyteorder("<"))


def _float64(inputs: list[tuple[str, tflite.Tensor]]) -> tuple[Finding, ...]:
    """Findings about float64 inputs: runtimes take them on a CPU, Google's benchmark tool and
    accelerators do not."""
    return tuple(
        Finding(
            level="warning",
            code="double-precision-input",
            message=f"the input {name!r} is float64, which phones' tools and accelerators "
            "do not take",
            fix="cast the input to float32 before you convert the model",
        )
        for name, tensor in inputs
        if tensor.dtype == "float64"
    )
