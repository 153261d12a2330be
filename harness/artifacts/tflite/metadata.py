"""TFLite Metadata: what the author of a file says about its input and its labels.

A buffer called TFLITE_METADATA holds a FlatBuffer (`metadata_schema.fbs` of tflite-support), and
files that it names, such as the labels, are in a ZIP archive behind the model. Nothing in it is
needed to run the model, so metadata that cannot be read counts as missing.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import NamedTuple

from harness.artifacts.tflite.flatbuffer import Damaged, Reader, Table
from harness.core.pixels import Pixels

NAME = "TFLITE_METADATA"
_NORMALIZATION = 1  # of the union ProcessUnitOptions
_AXIS_LABELS = 2  # of the enumeration AssociatedFileType
_MOST_LABEL_BYTES = 1_000_000


class Metadata(NamedTuple):
    """What is known about the first input and the first output; None and empty if nothing is."""

    pixels: Pixels | None = None
    labels: tuple[str, ...] = ()


def read(buffer: bytes, file: bytes) -> Metadata:
    """`buffer` is the metadata's, `file` the whole .tflite file."""
    try:
        graphs = Reader(buffer).root().tables(3)
        if not graphs:
            return Metadata()
        inputs, outputs = graphs[0].tables(2), graphs[0].tables(3)
        pixels = _pixels(inputs[0]) if inputs else None
        names = _label_files(outputs[0]) if outputs else []
    except (Damaged, ValueError):
        return Metadata()
    return Metadata(pixels, next((found for n in names if (found := _labels(file, n))), ()))


def _pixels(tensor: Table) -> Pixels | None:
    for unit in tensor.tables(4):
        options = unit.table(1) if unit.number(0, "B") == _NORMALIZATION else None
        if options is None:
            continue
        mean, std = (tuple(map(float, options.array(slot, "float32").tolist())) for slot in (0, 1))
        usable = len(mean) == len(std) and len(mean) in (1, 3) and min(std, default=0) > 0
        if usable and all(map(math.isfinite, (*mean, *std))):
            return Pixels(mean=mean, std=std, source="metadata")
    return None


def _label_files(tensor: Table) -> list[str]:
    return [file.text(0) for file in tensor.tables(6) if file.number(2, "b") == _AXIS_LABELS]


def _labels(file: bytes, name: str) -> tuple[str, ...]:
    """The lines of a text file in the archive; empty if it cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            if archive.getinfo(name).file_size > _MOST_LABEL_BYTES:
                return ()
            text = archive.read(name).decode()
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RuntimeError, NotImplementedError):
        return ()
    return lines(text)


def lines(text: str) -> tuple[str, ...]:
    """The labels in the text of a label file: one per line, without blank lines at the end."""
    return tuple(line.strip() for line in text.rstrip().splitlines())
