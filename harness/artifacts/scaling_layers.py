"""The pixel range that a Keras file expects, read from what comes directly after its input: layers
that scale (Rescaling, Normalization) and operations such as `x / 255.`. The file is read without
Keras, and nothing in it is run."""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.core.pixels import MOST_CHANNELS, Pixels, Scaled, of_moments

_MOST_BYTES = 50_000_000
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# Layers that do not change pixel values.
_WITHOUT_NUMBERS = frozenset(
    {
        *("InputLayer", "Reshape", "Resizing", "CenterCrop", "ZeroPadding2D", "Cropping2D"),
        *("RandomFlip", "RandomRotation", "RandomZoom", "RandomCrop", "RandomTranslation"),
        *("Functional", "Sequential", "Concatenate", "Identity", "Cast"),
    }
)
# Variables of a Normalization that was adapted, in their order.
_MEAN, _VARIANCE = "0", "1"
# `x / 255.` between two layers: in Keras 3 a layer of the operation's name, in Keras 2 a layer that
# calls a function of TensorFlow.
_CALLS = frozenset({"TFOpLambda", "SlicingOpLambda"})
_OPERATIONS = {
    **dict.fromkeys(("TrueDivide", "Divide", "math.truediv", "math.divide"), "divide"),
    **dict.fromkeys(("Multiply", "math.multiply"), "multiply"),
    **dict.fromkeys(("Subtract", "math.subtract"), "subtract"),
    **dict.fromkeys(("Add", "math.add", "__operators__.add"), "add"),
}


def pixels(path: Path) -> Pixels | None:
    """The range that the layers which scale are made for; None if there are none, or if the file
    cannot be read."""
    scaled = Scaled()
    try:
        for layer in _layers(_config(path)):
            name, settings = layer.get("class_name"), layer.get("config") or {}
            if name == "Normalization":
                if scaled.changed:
                    break
                moments = _moments(settings) or _adapted(path, str(settings.get("name")))
                return None if moments is None else of_moments(*moments)
            step = _step(layer)
            if step is not None:
                scaled = scaled.then(*step)
            elif name not in _WITHOUT_NUMBERS:
                break  # layers after it no longer scale pixels
        return scaled.pixels
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError, AttributeError):
        return None


def _step(layer: dict[str, Any]) -> tuple[list[float], list[float]] | None:
    """(scale, offset) of a Rescaling layer, or of an operation such as `x / 255.`; None for other
    layers. Raises ValueError if it cannot be read."""
    name, settings = layer.get("class_name"), layer.get("config") or {}
    if name == "Rescaling":
        scale = _numbers(settings.get("scale"))
        if not scale:
            raise ValueError("a Rescaling without a scale")
        return scale, _numbers(settings.get("offset")) or [0.0]
    kind = settings.get("function") if name in _CALLS else name
    operation = _OPERATIONS.get(str(kind))
    constant, first = _operands(layer.get("inbound_nodes"))
    if operation is None or not constant:
        return None
    if operation == "divide":
        return None if first else ([1 / c for c in constant], [0.0])
    if operation == "multiply":
        return constant, [0.0]
    if operation == "add":
        return [1.0], constant
    return ([-1.0], constant) if first else ([1.0], [-c for c in constant])


def _operands(nodes: object) -> tuple[list[float], bool]:
    """The constant beside the tensor in a layer's only call, and whether it comes first. Keras 3
    writes {"args": [tensor, 255.0]}, Keras 2 [["input", 0, 0, {"y": 255.0}]]."""
    if not isinstance(nodes, list) or len(nodes) != 1:
        return [], False
    (node,) = nodes
    if isinstance(node, dict):
        args = [*node.get("args", ()), *node.get("kwargs", {}).values()]
        if len(args) != 2:
            return [], False
        one, other = (_numbers(arg) for arg in args)
        return (one, True) if one else (other, False)
    while isinstance(node, list) and len(node) == 1 and isinstance(node[0], list):
        (node,) = node
    if isinstance(node, list) and len(node) == 4 and isinstance(node[3], dict):
        given = {key: _numbers(value) for key, value in node[3].items() if key != "name"}
        return given.get("y") or given.get("x") or [], False
    return [], False


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
    """The variables of the first group that holds both and belongs to the layer: by the name that
    Keras saved in it, else by the name of the group or of one around it."""
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
            if 0 < len(mean) <= MOST_CHANNELS:
                found.append((mean, variance))

    root.visititems(look)
    return found[0] if found else None
