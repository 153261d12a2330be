"""TFLite files with metadata, as tflite-support writes them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def _vector(builder: Any, items: Sequence[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def metadata(mean: Sequence[float], std: Sequence[float], labels: str | None) -> bytes:
    """The metadata's FlatBuffer: how the only input is normalized, what the labels' file is."""
    builder: Any = flatbuffers.Builder(256)
    means, stds = _floats(builder, mean), _floats(builder, std)
    builder.StartObject(2)  # NormalizationOptions
    builder.PrependUOffsetTRelativeSlot(0, means, 0)
    builder.PrependUOffsetTRelativeSlot(1, stds, 0)
    options = builder.EndObject()
    builder.StartObject(2)  # ProcessUnit
    builder.PrependUint8Slot(0, 1, 0)
    builder.PrependUOffsetTRelativeSlot(1, options, 0)
    units = _vector(builder, [builder.EndObject()])
    builder.StartObject(7)  # TensorMetadata of the input
    builder.PrependUOffsetTRelativeSlot(4, units, 0)
    inputs = _vector(builder, [builder.EndObject()])
    files = None
    if labels is not None:
        name = builder.CreateString(labels)
        builder.StartObject(5)  # AssociatedFile
        builder.PrependUOffsetTRelativeSlot(0, name, 0)
        builder.PrependInt8Slot(2, 2, 0)
        files = _vector(builder, [builder.EndObject()])
    builder.StartObject(7)  # TensorMetadata of the output
    if files is not None:
        builder.PrependUOffsetTRelativeSlot(6, files, 0)
    outputs = _vector(builder, [builder.EndObject()])
    builder.StartObject(8)  # SubGraphMetadata
    builder.PrependUOffsetTRelativeSlot(2, inputs, 0)
    builder.PrependUOffsetTRelativeSlot(3, outputs, 0)
    graphs = _vector(builder, [builder.EndObject()])
    builder.StartObject(8)  # ModelMetadata
    builder.PrependUOffsetTRelativeSlot(3, graphs, 0)
    builder.Finish(builder.EndObject(), b"M001")
    return bytes(builder.Output())


def with_metadata(
    source: Path,
    target: Path,
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (255.0,),
    labels: Sequence[str] | None = None,
    note: bytes | None = None,
) -> Path:
    """`source` with metadata, and the labels in an archive behind it; `note` in its place."""
    data = source.read_bytes()
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    held: Any = schema.BufferT()
    held.data = list(note or metadata(mean, std, "labels.txt" if labels else None))
    model.buffers.append(held)
    entry: Any = schema.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    builder: Any = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file = io.BytesIO()
    file.write(bytes(builder.Output()))
    if labels:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("labels.txt", "\n".join(labels) + "\n")
    target.write_bytes(file.getvalue())
    return target
