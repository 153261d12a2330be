"""What is known about a model file of the user's besides its tensors: the range of pixel values it
expects and the names of its outputs.

The user's options come first, then the file's own metadata, then the layers of a Keras file, then
the quantization of the input. What none of these says is assumed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.artifacts.tflite import metadata
from harness.core import units
from harness.core.errors import UsageError
from harness.core.pixels import Pixels, named
from harness.core.types import Artifact
from harness.data.pixels import parse

_MOST_CONFIG_BYTES = 50_000_000


class Told(NamedTuple):
    """What the user said with --pixels and --labels; None and empty if nothing."""

    pixels: Pixels | None = None
    labels: tuple[str, ...] = ()


def told(pixels: str | None, labels: Path | None) -> Told:
    """The values of --pixels and --labels; raises UsageError."""
    return Told(
        pixels=None if pixels is None else parse(pixels),
        labels=() if labels is None else _labels(labels),
    )


def described(artifact: Artifact, by_user: Told, keras: Path | None = None) -> Artifact:
    """The artifact with its pixel range and labels filled in. `keras` is the Keras file that it was
    made from, if any."""
    if by_user.labels:
        artifact = msgspec.structs.replace(artifact, labels=by_user.labels, labels_asked=True)
    layers = of_layers(keras) if keras is not None else None
    known = by_user.pixels or layers
    return msgspec.structs.replace(artifact, pixels=known) if known else artifact


def _labels(path: Path) -> tuple[str, ...]:
    where = units.name(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"--labels {where} is not text", "write one label a line") from None
    except OSError as error:
        raise UsageError(
            f"--labels {where} cannot be read: {error.strerror or error}", "give a text file"
        ) from None
    labels = metadata.lines(text)
    if len(labels) < 2:
        raise UsageError(f"--labels {where} holds {len(labels)} labels", "write one label a line")
    return labels


def of_layers(path: Path) -> Pixels | None:
    """The pixel range that a scaling layer directly behind the input of a Keras 3 file expects.
    None if there is no such layer, or if its scale is in the weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _MOST_CONFIG_BYTES:
                return None
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError):
        return None
    for layer in _layers(config):
        name, settings = layer.get("class_name"), layer.get("config") or {}
        if name == "Rescaling":
            return _of_rescaling(settings.get("scale"))
        if name == "Normalization":
            return _of_normalization(settings.get("mean"))
        if name not in _WITHOUT_NUMBERS:
            return None  # what stands behind it scales no pixels any more
    return None


# Layers that pass pixels on as they are.
_WITHOUT_NUMBERS = frozenset(
    {
        *("InputLayer", "Reshape", "Resizing", "CenterCrop", "ZeroPadding2D", "Cropping2D"),
        *("RandomFlip", "RandomRotation", "RandomZoom", "RandomCrop", "RandomTranslation"),
        *("Functional", "Sequential", "Concatenate"),
    }
)


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The layers of a network and of those inside it, in order."""
    settings = config.get("config") if isinstance(config, dict) else None
    layers = settings.get("layers") if isinstance(settings, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer)


def _of_rescaling(scale: object) -> Pixels | None:
    """1/255 and 1/127.5 scale pixels of 0 to 255; 2 or 255 scale values of 0 to 1."""
    if not isinstance(scale, int | float) or scale <= 0:
        return None
    return named("0..255" if scale <= 0.05 else "0..1", "layers")


def _of_normalization(mean: object) -> Pixels | None:
    values = mean if isinstance(mean, list) else [mean]
    while values and isinstance(values[0], list):
        values = values[0]
    numbers = [v for v in values if isinstance(v, int | float)]
    if not numbers or len(numbers) != len(values):
        return None  # it was adapted, and the mean is in the weights
    return named("0..255" if max(map(abs, numbers)) > 2 else "0..1", "layers")
