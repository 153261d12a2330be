"""A file of any of the formats -> its Explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.artifacts.sizes import changes, keras_file, tflite_file
from harness.artifacts.sizes.layers import Layer, by_kind, total_macs
from harness.artifacts.tflite import macs
from harness.artifacts.tflite import model as tflite
from harness.artifacts.tflite.flatbuffer import Damaged
from harness.core import units
from harness.core.errors import UsageError
from harness.core.explanation import Change, Explanation, LayerShare, Part

KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
# What a converter writes beside the weights: some tables for each layer. The exact number hardly
# matters.
_TABLES_BYTES, _TABLES_PER_LAYER_BYTES = 1_500, 250


def explain(path: Path) -> Explanation:
    """Raises UsageError, whose message begins with the path, if the file cannot be read."""
    if not path.is_file():
        raise UsageError(f"{path} is not a file", "give a .tflite, .keras or .h5 file")
    if path.suffix.lower() in KERAS_ENDINGS:
        return _of_keras(path)
    data = path.read_bytes()
    if data[4:8] != tflite.IDENTIFIER:
        raise UsageError(f"{path} is not a TFLite model", "give a .tflite, .keras or .h5 file")
    try:
        return of_tflite(path, data, tflite.read(data))
    except Damaged as error:
        raise UsageError(f"{path} is damaged: {error}", "copy or convert it again") from None


def of_tflite(path: Path, data: bytes, model: tflite.Model) -> Explanation:
    """The Explanation of a .tflite file that has been read."""
    layers = tflite_file.layers(model)
    weights = sum(layer.size_bytes for layer in layers)
    rest = len(data) - weights
    count = macs.of_graph(model.subgraphs[0])
    return Explanation(
        path=str(path),
        format=".tflite",
        size_bytes=len(data),
        parameters=sum(layer.parameters for layer in layers),
        macs=count,
        macs_absent_because=""
        if count is not None
        else "one layer's cannot be computed from the shapes",
        parts=(Part("weights and other constants", weights), Part("graph, names, scales", rest)),
        kinds=by_kind(layers),
        layers=_largest_first(layers),
        grey=changes.grey_cost(layers),
        changes=changes.changes(layers, rest),
    )


def _of_keras(path: Path) -> Explanation:
    found = keras_file.read(path)
    size = path.stat().st_size
    layers = found.layers
    weights = sum(layer.size_bytes for layer in layers)
    count = total_macs(layers)
    return Explanation(
        path=str(path),
        format=path.suffix.lower(),
        size_bytes=size,
        parameters=sum(layer.parameters for layer in layers),
        macs=count,
        macs_absent_because="" if count is not None else "the shapes of one layer are not known",
        parts=(
            Part("weights", weights),
            *([Part("optimizer state", found.optimizer_bytes)] if found.optimizer_bytes else []),
            Part("configuration and container", max(0, size - weights - found.optimizer_bytes)),
        ),
        kinds=by_kind(layers),
        layers=_largest_first(layers),
        grey=changes.grey_cost(layers),
        changes=_of_conversion(found, size),
        frozen=found.frozen,
        optimizer=found.optimizer,
    )


def _of_conversion(found: keras_file.KerasFile, size: int) -> tuple[Change, ...]:
    """What converting leaves out, and then the changes of the resulting .tflite file."""
    layers = _converted(found)
    rest = _TABLES_BYTES + _TABLES_PER_LAYER_BYTES * len(layers)
    converted = Change(
        code="tflite",
        message=_about_optimizer(found),
        how="convert it: the recipe float32",
        size_bytes=rest + sum(layer.size_bytes for layer in layers),
        parameters=sum(layer.parameters for layer in layers),
    )
    return (converted, *changes.changes(layers, rest))


def _about_optimizer(found: keras_file.KerasFile) -> str:
    if not found.optimizer_bytes:
        return "the file holds no optimizer state; neither does a .tflite file"
    state = units.file_size(found.optimizer_bytes)
    return (
        f"{found.optimizer or 'the optimizer'} keeps {state} of state for the weights that it "
        "trains and none for frozen ones; a .tflite file has no such state"
    )


def _converted(found: keras_file.KerasFile) -> list[Layer]:
    """The layers as a float32 .tflite file has them. A batch normalization becomes part of the
    layer before it: a bias for each channel, if that has none yet."""
    made: list[Layer] = []
    for layer in found.layers:
        if layer.kind == "BatchNormalization":
            channels = layer.others // 4
            before = made[-1] if made else None
            if before is not None and before.kernel and not before.others:
                made[-1] = replace(
                    before, others=channels, size_bytes=before.size_bytes + 4 * channels
                )
            elif before is None or not before.kernel:
                made.append(replace(layer, others=2 * channels, size_bytes=8 * channels))
            continue
        bits = 32 if layer.kernel else 0
        made.append(replace(layer, bits=bits, size_bytes=4 * layer.parameters))
    return made


def _largest_first(layers: Sequence[Layer]) -> tuple[LayerShare, ...]:
    return tuple(sorted((layer.share for layer in layers), key=lambda one: -one.size_bytes))
