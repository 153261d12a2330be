"""What is known about a model file of the user's besides its tensors: the range of pixel values it
expects and the names of its outputs.

The user's options come first, then the file's own metadata, then the layers of a Keras file, then
the quantization of the input. What none of these gives is assumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.artifacts import scaling_layers
from harness.artifacts.tflite import metadata
from harness.core import units
from harness.core.errors import UsageError
from harness.core.pixels import Pixels
from harness.core.types import Artifact
from harness.data.pixels import parse


class FileOptions(NamedTuple):
    """What the user said with --pixels and --labels; None and empty if nothing."""

    pixels: Pixels | None = None
    labels: tuple[str, ...] = ()


def file_options(pixels: str | None, labels: Path | None) -> FileOptions:
    """The values of --pixels and --labels; raises UsageError."""
    return FileOptions(
        pixels=None if pixels is None else parse(pixels),
        labels=() if labels is None else _labels(labels),
    )


def described(artifact: Artifact, by_user: FileOptions, keras: Path | None = None) -> Artifact:
    """The artifact with its pixel range and labels filled in. `keras` is the Keras file that it was
    made from, if any."""
    if by_user.labels:
        artifact = msgspec.structs.replace(artifact, labels=by_user.labels, labels_asked=True)
    layers = scaling_layers.pixels(keras) if keras is not None else None
    known = by_user.pixels or layers
    return msgspec.structs.replace(artifact, pixels=known) if known else artifact


def _labels(path: Path) -> tuple[str, ...]:
    where = units.name(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"--labels {where} is not text", "write one label per line") from None
    except OSError as error:
        raise UsageError(
            f"--labels {where} cannot be read: {error.strerror or error}", "give a text file"
        ) from None
    labels = metadata.lines(text)
    if len(labels) < 2:
        raise UsageError(f"--labels {where} holds {len(labels)} labels", "write one label per line")
    return labels
