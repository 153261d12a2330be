"""The layers of a .keras or .h5 file, and what training left in it, read without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from harness.artifacts.sizes.keras_config import Network
from harness.artifacts.sizes.layers import Layer
from harness.core.errors import UsageError

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D")


@dataclass(frozen=True)
class KerasFile:
    """`layers` have the bytes that they take in this file. `optimizer` names what trained it and
    `optimizer_bytes` is its state; `frozen` counts parameters of layers that training leaves
    alone."""

    layers: tuple[Layer, ...]
    optimizer: str | None
    optimizer_bytes: int
    frozen: int
    network: Network


@dataclass(frozen=True)
class _Array:
    shape: tuple[int, ...]
    size_bytes: int
    item_bytes: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


def read(path: Path) -> KerasFile:
    """Raises UsageError, whose message begins with the path, if the file cannot be read."""
    try:
        import h5py
    except ImportError:
        raise UsageError(
            f"{path} cannot be read: h5py is not installed", "pip install h5py"
        ) from None
    try:
        if zipfile.is_zipfile(path):
            return _of_zip(path, h5py)
        with h5py.File(path, "r") as file:
            return _of_h5(file, path, h5py)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path} is damaged or not a Keras model: {why}", "save it again"
        ) from None


def _of_zip(path: Path, h5py: Any) -> KerasFile:
    with zipfile.ZipFile(path) as archive:
        saved = json.loads(archive.read(_CONFIG))
        compiled = saved.get("compile_config") or {}
        with _weights(archive, h5py) as file:
            owned = [
                (name, arrays)
                for group in ("layers", "_layer_checkpoint_dependencies")
                if group in file
                for name, arrays in _groups(file[group], h5py)
            ]
            optimizer_bytes = _bytes_below(file.get("optimizer"), h5py)
    return _file(saved, owned, _optimizer(compiled.get("optimizer")), optimizer_bytes)


@contextmanager
def _weights(archive: zipfile.ZipFile, h5py: Any) -> Iterator[Any]:
    """The weights, read in place unless they are compressed."""
    packed = archive.getinfo(_WEIGHTS).compress_type != zipfile.ZIP_STORED
    with (
        archive.open(_WEIGHTS) as stream,
        h5py.File(io.BytesIO(stream.read()) if packed else stream, "r") as file,
    ):
        yield file


def _of_h5(file: Any, path: Path, h5py: Any) -> KerasFile:
    if "model_config" not in file.attrs:
        raise UsageError(
            f"{path} holds weights only, not the network they belong to",
            "save it with model.save() instead of save_weights()",
        )
    saved = json.loads(file.attrs["model_config"])
    training = json.loads(file.attrs.get("training_config", "{}"))
    groups = file["model_weights"]
    names = [_text(name) for name in groups.attrs.get("layer_names", list(groups))]
    owned: list[tuple[str, list[_Array]]] = []
    for name in names:
        owned += _by_layer(name, groups[name], h5py)
    optimizer = _optimizer(training.get("optimizer_config"))
    return _file(saved, owned, optimizer, _bytes_below(file.get("optimizer_weights"), h5py))


def _file(
    saved: dict[str, Any],
    owned: list[tuple[str, list[_Array]]],
    optimizer: str | None,
    optimizer_bytes: int,
) -> KerasFile:
    network = Network(saved)
    layers = tuple(_layer(name, arrays, network) for name, arrays in owned if arrays)
    frozen = sum(
        layer.parameters
        for layer in layers
        if layer.name in network.layers and not network.layers[layer.name].trainable
    )
    return KerasFile(
        layers=_with_image(layers, network),
        optimizer=optimizer,
        optimizer_bytes=optimizer_bytes,
        frozen=frozen,
        network=network,
    )


# --- HDF5 ------------------------------------------------------------------------------------


def _groups(group: Any, h5py: Any, inside: str = "") -> Iterator[tuple[str, list[_Array]]]:
    """(layer, its arrays) as Keras 3 keeps them: a group `vars` for each object."""
    for key, child in group.items():
        if not isinstance(child, h5py.Group) or key == "vars":
            continue
        own = child.get("vars")
        name = inside or key
        if own is not None:
            name = _text(own.attrs.get("name", name))
            sets = [own[place] for place in sorted(own, key=int)]
            yield name, [_array(one) for one in sets if isinstance(one, h5py.Dataset)]
        # What lies deeper belongs to a model inside, or to a layer's own parts.
        nested = "layers" in child
        for deeper in ("layers",) if nested else tuple(k for k in child if k != "vars"):
            below = child[deeper]
            if not isinstance(below, h5py.Group):
                continue
            found = _groups(below, h5py) if nested else _groups({deeper: below}, h5py, name)
            yield from ((n if nested else name, arrays) for n, arrays in found)


def _by_layer(name: str, group: Any, h5py: Any) -> list[tuple[str, list[_Array]]]:
    """(layer, its arrays) of a group of the older format, where a model is one layer."""
    found: dict[str, list[_Array]] = {}

    def note(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            parts = path.split("/")
            found.setdefault(parts[-2] if len(parts) > 2 else name, []).append(_array(item))

    group.visititems(note)
    return list(found.items())


def _array(dataset: Any) -> _Array:
    return _Array(
        tuple(dataset.shape), int(dataset.id.get_storage_size()), int(dataset.dtype.itemsize)
    )


def _bytes_below(group: Any, h5py: Any) -> int:
    total = 0

    def add(path: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += int(item.id.get_storage_size())

    if group is not None:
        group.visititems(add)
    return total


def _optimizer(config: Any) -> str | None:
    return (
        str(config["class_name"]) if isinstance(config, dict) and "class_name" in config else None
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


# --- layers ----------------------------------------------------------------------------------


def _layer(name: str, arrays: list[_Array], network: Network) -> Layer:
    known = network.layers.get(name)
    kind = known.kind if known else "layer"
    kernels = [array for array in arrays if len(array.shape) > 1]
    others = [array for array in arrays if len(array.shape) <= 1]
    dense = kind == "Dense"
    inputs = kernels[0].shape[-2] if dense and kernels else 0
    return Layer(
        name=name,
        kind=kind,
        size_bytes=sum(array.size_bytes for array in arrays),
        kernel=sum(array.elements for array in kernels),
        bits=max((array.item_bytes * 8 for array in kernels), default=0),
        others=sum(array.elements for array in others),
        macs=_macs(name, kernels, network),
        dense=dense,
        inputs=inputs,
        outputs=kernels[-1].shape[-1] if kernels else 0,
        positions=_positions(name, network) if dense else 1,
    )


def _macs(name: str, kernels: list[_Array], network: Network) -> int | None:
    known = network.layers.get(name)
    if not kernels:
        return 0
    if known is None:
        return None
    multiplied = sum(kernel.elements for kernel in kernels)
    given, made = network.input_shape(name), network.output_shape(name)
    if known.kind == "Dense":
        places = given[1:-1] if given else None
    elif known.kind in _CONVOLUTIONS:
        places = made[1:-1] if made else None
    elif known.kind.startswith("Conv") and known.kind.endswith("Transpose"):
        places = given[1:-1] if given else None
    else:
        return None
    if places is None or None in places:
        return None
    return multiplied * prod(side for side in places if side is not None)


def _positions(name: str, network: Network) -> int:
    """How many positions of an image a dense layer reads."""
    layer = network.layers[name]
    while layer.reads and (before := network.layers.get(layer.reads[0])):
        if before.kind == "Flatten":
            shape = network.input_shape(before.name) or ()
            sides = [side for side in shape[1:-1] if side is not None]
            return prod(sides) if len(shape) == 4 and len(sides) == 2 else 1
        if before.kind not in ("Dropout", "Activation", "ReLU", "BatchNormalization"):
            return 1
        layer = before
    return 1


def _with_image(layers: tuple[Layer, ...], network: Network) -> tuple[Layer, ...]:
    """The layers, the first convolution with the channels that it reads."""
    image = next((c for c in network.layers.values() if c.kind == "InputLayer"), None)
    shape = network.output_shape(image.name) if image else None
    if shape is None or len(shape) != 4 or shape[3] not in (1, 3):
        return layers
    for place, layer in enumerate(layers):
        given = network.input_shape(layer.name)
        if layer.kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
            channels = given[-1] if given else None
            first = replace(layer, channels_read=channels, converted=shape[3] == 1)
            return (*layers[:place], first, *layers[place + 1 :])
    return layers
