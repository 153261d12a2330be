"""Models of other frameworks become .tflite files: ONNX by onnx2tf, PyTorch (.pt2) by litert-torch.

The converters need packages that clash with the harness's own, or are very large. So each runs in a
Python environment of its own, which `python -m harness setup onnx|torch` makes, unless this one has
what it needs (the extras `onnx` and `torch`).
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["onnx", "torch"]

ENDINGS: dict[str, Kind] = {".onnx": "onnx", ".pt2": "torch"}
MODELS: dict[Kind, str] = {"onnx": "an ONNX model", "torch": "a model exported by PyTorch"}
