"""Converts an ONNX or PyTorch model to .tflite and compares their answers.

Run by the Python of an environment that has the converter, which need not have the harness: this
file imports nothing of it. `child.py --versions KIND` prints the versions of what it needs. Else a
request is read from standard input and the result is written to the file that it names; whatever
the libraries print goes to standard error, which is the log.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

NEEDED = {
    "onnx": ("onnx2tf", "onnx", "onnxruntime", "tensorflow", "ai-edge-litert"),
    "torch": ("litert-torch", "torch", "ai-edge-litert"),
}
_EXAMPLES = 8
_PICTURE_CHANNELS = (1, 3)
_MOST_CHANNELS = 4
_ARITHMETIC = frozenset({"Add", "Div", "Mul", "Sub"})
_PASSING = frozenset({"Cast", "Identity", "Pad", "Reshape", "Resize", "Squeeze", "Transpose"})
# onnx2tf looks for this file before it asks the network for it; any pictures will do.
_SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"


class Refused(Exception):
    """The model cannot be converted, for a reason that a person can act on."""


class Onnx:
    """An ONNX model, run by ONNX Runtime."""

    def __init__(self, path: str) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Refused(f"ONNX Runtime cannot load it: {_line(error)}") from error
        self._path = path
        self.scaling: tuple[list[float], list[float]] = ([], [])
        self.inputs = []
        for one in self._session.get_inputs():
            # A batch that is left open is one example; another open side has no size to choose.
            shape = [1 if place == 0 and not isinstance(side, int) else side
                     for place, side in enumerate(one.shape)]  # fmt: skip
            if not all(isinstance(side, int) for side in shape):
                raise Refused(f"the input {one.name!r} has the open shape {one.shape}; export it "
                              "with fixed sizes")  # fmt: skip
            self.inputs.append((one.name, shape, _numpy_type(one.type)))

    def answers(self, values: list[Any]) -> list[Any]:
        """The model's outputs for one value per input."""
        names = [name for name, _, _ in self.inputs]
        return list(self._session.run(None, dict(zip(names, values, strict=True))))

    def convert(self, target: str) -> None:
        """Write the .tflite file; onnx2tf leaves others in the current folder."""
        import numpy as np
        import onnx
        import onnx2tf

        model = onnx.load(self._path)
        constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        nodes = [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node]
        self.scaling = scaling(nodes, constants, self.inputs[0][0])
        # onnx2tf writes to the file that it is given.
        onnx.save(model, "copy.onnx")
        np.save(_SAMPLES, np.random.default_rng(0).uniform(0, 1, (20, 128, 128, 3)).astype("f4"))
        try:
            onnx2tf.convert(
                input_onnx_file_path="copy.onnx",
                output_folder_path="converted",
                batch_size=1,
                non_verbose=True,
            )
        except SystemExit as error:
            raise Refused(f"onnx2tf ended with status {error.code}") from error
        made = sorted(Path("converted").glob("*_float32.tflite"))
        if not made:
            raise Refused("onnx2tf wrote no .tflite file")
        shutil.move(made[0], target)


class Torch:
    """A program of torch.export, run by PyTorch. A picture that it takes with its channels first
    is given with its channels last, as LiteRT has them."""

    def __init__(self, path: str) -> None:
        import torch

        with zipfile.ZipFile(path) as archive:
            if any("aotinductor" in name for name in archive.namelist()):
                raise Refused("it holds compiled code, which is not run")
        try:
            program = torch.export.load(path)
        except Exception as error:
            raise Refused(f"PyTorch cannot load it: {_line(error)}") from error
        if program.example_inputs is None or program.example_inputs[1]:
            raise Refused("it has no plain example inputs; export it with positional ones")
        self._module = program.module()
        self._examples = program.example_inputs[0]
        self.scaling: tuple[list[float], list[float]] = ([], [])
        self.inputs = []
        for place, one in enumerate(self._examples):
            if not isinstance(one, torch.Tensor):
                raise Refused(f"its argument {place} is not a tensor")
            kind = str(one.dtype).removeprefix("torch.")
            self.inputs.append((str(place), list(one.shape), kind))

    def answers(self, values: list[Any]) -> list[Any]:
        """The model's outputs for one value per input."""
        import torch
        from torch.utils import _pytree

        with torch.no_grad():
            said = self._module(*(torch.from_numpy(value) for value in values))
        return [one.detach().numpy() for one in _pytree.tree_leaves(said)]

    def convert(self, target: str) -> None:
        """Write the .tflite file."""
        import litert_torch

        module: Any = self._module
        pictures = [
            place
            for place, (_, shape, _) in enumerate(self.inputs)
            if len(shape) == 4 and shape[1] in _PICTURE_CHANNELS
        ]
        examples = list(self._examples)
        if pictures:
            module = litert_torch.to_channel_last_io(module, args=pictures)
            for place in pictures:
                examples[place] = examples[place].permute(0, 2, 3, 1).contiguous()
        litert_torch.convert(module, tuple(examples)).export(target)


def scaling(
    nodes: list[tuple[str, list[str], list[str]]], constants: dict[str, Any], given: str
) -> tuple[list[float], list[float]]:
    """(scale, offset) that the first `nodes` (kind, inputs, outputs) apply to the input `given`,
    one of each or one for each channel. The converter hides them in the first convolution."""
    import numpy as np

    scale, offset = np.ones(1), np.zeros(1)
    for _ in nodes:
        users = [node for node in nodes if given in node[1]]
        if len(users) != 1 or not users[0][2]:
            break
        kind, inputs, outputs = users[0]
        if kind in _ARITHMETIC and len(inputs) == 2:
            first = inputs[0] == given
            constant = np.asarray(constants.get(inputs[1 if first else 0], ()), np.float64).ravel()
            if not 1 <= constant.size <= _MOST_CHANNELS:
                break
            if kind == "Div" and not (first and constant.all()):
                break
            if kind in ("Mul", "Div"):
                factor, summand = constant if kind == "Mul" else 1 / constant, np.zeros(1)
            else:
                factor = np.full(1, 1.0 if first or kind == "Add" else -1.0)
                summand = -constant if first and kind == "Sub" else constant
            sides = {len(one) for one in (scale, offset, factor, summand)} - {1}
            if len(sides) > 1:
                break
            scale, offset = scale * factor, offset * factor + summand
        elif kind not in _PASSING:
            break
        given = outputs[0]
    scales, offsets = np.broadcast_arrays(scale, offset)
    if not (np.isfinite(scales).all() and np.isfinite(offsets).all()):
        return [], []
    return scales.tolist(), offsets.tolist()


def _numpy_type(text: str) -> str:
    """'float32' for ONNX Runtime's 'tensor(float)'."""
    kind = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(kind, kind)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _examples(inputs: list[Any], pictures: Any) -> list[list[Any]]:
    """_EXAMPLES of random numbers and then, if an input takes them, as many of the pictures, uint8
    (n, height, width). Half of each are between 0 and 1, half between 0 and 255: which range the
    model was made for is not known here."""
    import numpy as np

    rng = np.random.default_rng(0)
    found = []
    seen = pictures[:_EXAMPLES] if any(_takes_pictures(*one[1:]) for one in inputs) else ()
    for number in range(_EXAMPLES + len(seen)):
        scale = 1 if number % _EXAMPLES < _EXAMPLES // 2 else 255
        picture = seen[number - _EXAMPLES] if number >= _EXAMPLES else None
        values = []
        for name, shape, kind in inputs:
            if picture is not None and _takes_pictures(shape, kind):
                values.append((_fitted(picture, shape) * (scale / 255)).astype(kind))
            elif kind.startswith("float"):
                values.append((rng.uniform(0, 1, shape) * scale).astype(kind))
            elif kind == "bool":
                values.append(rng.integers(0, 2, shape).astype(bool))
            elif kind.startswith(("int", "uint")):
                values.append(rng.integers(0, 10, shape).astype(kind))
            else:
                raise Refused(f"the input {name!r} is of the type {kind}")
        found.append(values)
    return found


def _takes_pictures(shape: list[int], kind: str) -> bool:
    return (
        len(shape) == 4
        and kind.startswith("float")
        and (shape[1] in _PICTURE_CHANNELS or shape[3] in _PICTURE_CHANNELS)
    )


def _fitted(picture: Any, shape: list[int]) -> Any:
    """A picture (height, width) in the size and with the channels of an input: the nearest of its
    pixels for each."""
    import numpy as np

    first = shape[1] in _PICTURE_CHANNELS and shape[3] not in _PICTURE_CHANNELS
    height, width = shape[2:] if first else shape[1:3]
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip((height, width), picture.shape, strict=True)
    )
    small = picture[np.ix_(rows, columns)].astype(np.float64)
    return np.broadcast_to(small if first else small[..., np.newaxis], shape)


def _layouts(array: Any) -> list[Any]:
    """The array as it is, and with its channels last."""
    if array.ndim < 3:
        return [array]
    return [array, array.transpose(0, *range(2, array.ndim), 1)]


def compare(source: Any, path: str, pictures: Any = ()) -> dict[str, Any]:
    """The largest difference between the answers, the largest answer, and how many decisions (the
    place of the largest value of the first output) are the same."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    details, asked = interpreter.get_input_details(), interpreter.get_output_details()
    largest = magnitude = 0.0
    same = 0
    examples = _examples(source.inputs, pictures)
    for values in examples:
        for detail, value in zip(details, _in_order(details, source.inputs, values), strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        wanted = source.answers(values)
        got = [interpreter.get_tensor(detail["index"]) for detail in asked]
        if len(wanted) != len(got):
            raise Refused(f"it has {len(wanted)} outputs, the converted file {len(got)}")
        pairs = _paired(wanted, got)
        for left, right in pairs:
            finite = np.isfinite(left)
            if not np.array_equal(finite, np.isfinite(right)):
                largest = sys.float_info.max  # what JSON has instead of infinity
                continue
            wide, other = left[finite].astype(np.float64), right[finite].astype(np.float64)
            largest = max(largest, float(np.abs(wide - other).max(initial=0)))
            magnitude = max(magnitude, float(np.abs(wide).max(initial=0)))
        if pairs[0][0].size:
            same += int(pairs[0][0].argmax() == pairs[0][1].argmax())
        else:
            same += 1
    return {
        "largest": largest,
        "magnitude": magnitude,
        "same": same,
        "examples": len(examples),
        "pictures": len(examples) - _EXAMPLES,
    }


def _in_order(details: list[Any], inputs: list[Any], values: list[Any]) -> list[Any]:
    """The values in the order and the layout in which the converted file takes them."""
    left = {name: value for (name, _, _), value in zip(inputs, values, strict=True)}
    found = []
    for detail in details:
        shape, kind = tuple(detail["shape"].tolist()), detail["dtype"]
        fitting = [
            (name not in detail["name"], place, name, way)
            for place, (name, value) in enumerate(left.items())
            for way in reversed(_layouts(value))  # channels last first: it is what LiteRT wants
            if way.shape == shape
        ]
        if not fitting:
            raise Refused(f"no input of the source fits {detail['name']!r} of {list(shape)}")
        _, _, name, way = min(fitting, key=lambda one: one[:2])
        del left[name]
        found.append(way.astype(kind))
    return found


def _paired(wanted: list[Any], got: list[Any]) -> list[tuple[Any, Any]]:
    """Each output of the source with the one of the file that is nearest to it: the file may list
    them in another order, with their channels last."""
    import numpy as np

    left, pairs = list(range(len(got))), []
    for one in wanted:
        near = [
            (float(np.abs(np.nan_to_num(way.astype("f8") - got[place])).sum()), place, number)
            for place, (number, way) in itertools.product(
                left, enumerate(_layouts(np.asarray(one)))
            )
            if way.shape == got[place].shape
        ]
        if not near:
            shapes = [list(got[place].shape) for place in left]
            raise Refused(f"an output of {list(one.shape)} became one of {shapes}")
        _, place, number = min(near)
        left.remove(place)
        pairs.append((_layouts(np.asarray(one))[number], got[place]))
    return pairs


def carry_out(request: dict[str, str]) -> dict[str, Any]:
    """Convert `source` to `target`; returns the result."""
    source: Any = {"onnx": Onnx, "torch": Torch}[request["kind"]](request["source"])
    source.convert(request["target"])
    scale, offset = source.scaling
    found = {"scale": scale, "offset": offset}
    try:
        import numpy as np

        return {**found, **compare(source, request["target"], np.load(request["pictures"]))}
    except Refused as error:
        return {**found, "unchecked": str(error)}


def main() -> int:
    """1 if nothing could be converted."""
    if sys.argv[1:2] == ["--versions"]:
        found = {name: importlib.metadata.version(name) for name in NEEDED[sys.argv[2]]}
        os.write(1, json.dumps(found).encode())
        return 0
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.read())
    os.chdir(request["work"])
    try:
        result = carry_out(request)
    except Refused as error:
        result = {"refusal": str(error)}
    except Exception as error:
        import traceback

        traceback.print_exc()
        result = {"refusal": _line(error)}
    Path(request["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 1 if "refusal" in result else 0


if __name__ == "__main__":
    sys.exit(main())
