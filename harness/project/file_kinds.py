"""What kind of file someone gives to `bench`, by its name and first bytes, and what to do with one
that cannot be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from harness.artifacts.converters import ENDINGS
from harness.core.errors import UsageError

Kind = Literal["tflite", "convert"]

TFLITE_ENDINGS = (".tflite",)
KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
SAVED_MODEL = "saved_model.pb"

_TFLITE = b"TFL3"
_LFS = b"version https://git-lfs"
_TORCH = (
    "a PyTorch model",
    "export it with torch.export.save (.pt2) or to ONNX, and give that file",
)
_OTHERS = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".safetensors": ("a file of weights without a network", "export the whole model"),
    ".task": (
        "a bundle of MediaPipe",
        "it is a zip file: unpack it, and give the .tflite files in it",
    ),
    ".litertlm": (
        "a language model for LiteRT-LM",
        "it is measured with litert-lm's own benchmark",
    ),
    ".pb": (
        "a TensorFlow graph",
        "give the folder of the SavedModel, or freeze and convert the graph to .tflite",
    ),
    ".mlmodel": ("a Core ML model", "give the model that it was made from"),
    ".mlpackage": ("a Core ML model", "give the model that it was made from"),
    ".zip": ("a zip file", "unpack it, and give the model in it"),
}


def kind_of(text: str) -> Kind | None:
    """How a file is read; None if the text can only be the name of a variant.

    Raises UsageError for a file of a kind that cannot be measured, which it names.
    """
    path = Path(text)
    ending = path.suffix.lower()
    if _begins(path, 0, _LFS):
        raise UsageError(
            f"{path} is a Git LFS pointer, not the file that it stands for", "run `git lfs pull`"
        )
    if ending in TFLITE_ENDINGS or _begins(path, 4, _TFLITE):  # some are called .lite or .bin
        return "tflite"
    if ending in (*KERAS_ENDINGS, *ENDINGS) or (path / SAVED_MODEL).is_file():
        return "convert"
    if ending in _OTHERS:
        what, fix = _OTHERS[ending]
        raise UsageError(f"{path} is {what}", fix)
    if path.is_file():
        raise UsageError(
            f"{path} is not a model that can be measured",
            "give a .tflite, .keras, .h5, .onnx or .pt2 file, the folder of a SavedModel, or a "
            "variant's name",
        )
    return None


def is_keras(path: Path) -> bool:
    """Whether TensorFlow converts it, of the files to convert."""
    return path.suffix.lower() not in ENDINGS


def _begins(path: Path, place: int, with_: bytes) -> bool:
    """Whether a regular file has these bytes at a place near its beginning."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(place + len(with_))[place:] == with_
    except OSError:
        return False
