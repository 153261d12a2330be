"""The pixel range that a Keras file expects, read off a layer that scales directly behind its
input: Rescaling or Normalization. The file is read without Keras, and nothing in it is run."""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.core.pixels import Pixels, named

_MOST_BYTES = 50_000_000
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# Layers that pass pixels on as they are.
_WITHOUT_NUMBERS = frozenset(
    {
        *("InputLayer", "Reshape", "Resizing", "CenterCrop", "ZeroPadding2D", "Cropping2D"),
        *("RandomFlip", "RandomRotation", "RandomZoom", "RandomCrop", "RandomTranslation"),
        *("Functional", "Sequential", "Concatenate", "Identity", "Cast"),
    }
)
# Variables of a Normalization that was adapted, in their order.
_MEAN, _VARIANCE = "0", "1"
_MOST_CHANNELS = 4


def pixels(path: Path) -> Pixels | None:
    """The range that the first layer which scales takes; None if there is none, or if the file
    cannot be read."""
    try:
        for layer in _layers(_config(path)):
            name, settings = layer.get("class_name"), layer.get("config") or {}
            if name == "Rescaling":
                return _of_rescaling(_numbers(settings.get("scale")), settings.get("offset"))
            if name == "Normalization":
                moments = _moments(settings) or _adapted(path, str(settings.get("name")))
                return None if moments is None else _of_moments(*moments)
            if name not in _WITHOUT_NUMBERS:
                return None  # what stands behind it scales no pixels any more
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError, AttributeError):
        return None
    return None


def _config(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        with _hdf5(path) as file:
            return json.loads(file.attrs["model_config"])
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_CONFIG).file_size > _MOST_BYTES:
            raise ValueError("too large a configuration")
        return json.loads(archive.read(_CONFIG))


@contextmanager
def _hdf5(source: Path | io.BytesIO) -> Iterator[Any]:
    if importlib.util.find_spec("h5py") is None:
        raise OSError("h5py is not installed")
    import h5py

    with h5py.File(source, "r") as file:
        yield file


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The layers of a network and of those inside it, in order."""
    settings = config.get("config") if isinstance(config, dict) else None
    layers = settings.get("layers") if isinstance(settings, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer)


def _numbers(value: object) -> list[float]:
    """A number or nested lists of numbers as one list; empty if anything else is in there."""
    if isinstance(value, list):
        parts = [_numbers(part) for part in value]
        return [number for part in parts for number in part] if all(parts) else []
    if isinstance(value, dict):  # how Keras 3 writes an array
        return _numbers(value.get("config", {}).get("value"))
    return [float(value)] if isinstance(value, int | float) else []


def _of_rescaling(scales: list[float], offset: object) -> Pixels | None:
    """1/255 and 1/127.5 scale pixels of 0 to 255; 2 or 255 scale values of 0 to 1, and a half with
    the offset of a half those of -1 to 1."""
    if not scales or min(scales) <= 0:
        return None
    if max(scales) <= 0.05:
        return named("0..255", "layers")
    halves = [*scales, *_numbers(offset)]
    if len(halves) > 1 and all(abs(number - 0.5) < 0.05 for number in halves):
        return named("-1..1", "layers")
    return named("0..1", "layers")


_Moments = tuple[list[float], list[float]]


def _moments(settings: dict[str, Any]) -> _Moments | None:
    """(mean, variance) as the configuration has them; None if the layer was adapted to data."""
    mean = _numbers(settings.get("mean"))
    return (mean, _numbers(settings.get("variance"))) if mean else None


def _adapted(path: Path, name: str) -> _Moments | None:
    """(mean, variance) out of the weights of the layer `name`."""
    if not zipfile.is_zipfile(path):
        with _hdf5(path) as file:
            return _variables(file["model_weights"], name, ("mean", "variance"))
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_WEIGHTS).file_size > 40 * _MOST_BYTES:
            return None
        weights = io.BytesIO(archive.read(_WEIGHTS))
    with _hdf5(weights) as file:
        return _variables(file, name, (_MEAN, _VARIANCE))


def _variables(root: Any, name: str, keys: tuple[str, str]) -> _Moments | None:
    """Of the first group that holds both variables and is the layer's: by the name that Keras notes
    there, else by the name of the group or of one around it."""
    found: list[_Moments] = []

    def look(place: str, group: Any) -> None:
        inside = [str(key).partition(":")[0] for key in getattr(group, "keys", list)()]
        if found or not set(keys) <= set(inside):
            return
        noted = group.attrs.get("name")
        if name not in (noted, *place.split("/")) and not (noted is None and "normal" in place):
            return
        with suppress(KeyError, TypeError, ValueError):
            by_name = {str(key).partition(":")[0]: group[key][()] for key in group}
            mean, variance = (by_name[key].ravel().tolist() for key in keys)
            if 0 < len(mean) <= _MOST_CHANNELS:
                found.append((mean, variance))

    root.visititems(look)
    return found[0] if found else None


def _of_moments(mean: list[float], variance: list[float]) -> Pixels | None:
    """The range whose values can have such a mean and variance: between 0 and 1, a variance is at
    most mean times (1 - mean)."""
    largest = max(map(abs, mean))
    if largest > 255 or (min(mean) < 0 and largest > 1):
        return None
    if largest > 1:
        return named("0..255", "layers")
    pairs = zip(mean, variance, strict=True) if len(mean) == len(variance) else ()
    beyond = any(v > 1.02 * m * (1 - m) for m, v in pairs)
    return named("-1..1" if min(mean) < 0 or beyond else "0..1", "layers")
