"""The only process that imports TensorFlow: `python -m harness.build.child FOLDER`.

Reads FOLDER/work/request.json and writes FOLDER/model.tflite and artifact.json; if it cannot,
work/refusal.json and exit status 1. Standard output carries one JSON object per step; whatever
libraries print goes to standard error, which is the log.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness import recipes
from harness.build.cache import DESCRIPTION, MODEL, writing
from harness.build.request import REFUSAL, REQUEST, WORK, Refusal, Request, Step
from harness.build.sources import Model, read_model
from harness.core.errors import BuildError, HarnessError, UsageError


def main(folder: Path) -> int:
    """Build what the request asks for; the exit status."""
    steps = _own_stdout()

    def tell(stage: str) -> None:
        steps.write(msgspec.json.encode(Step(stage=stage)) + b"\n")
        steps.flush()

    request = msgspec.json.decode((folder / WORK / REQUEST).read_bytes(), type=Request)
    try:
        _build(request, folder, tell)
    except HarnessError as error:
        traceback.print_exc()
        usage = isinstance(error, UsageError)
        refusal = Refusal(usage=usage, message=error.message, mend=error.mend)
        (folder / WORK / REFUSAL).write_bytes(msgspec.json.encode(refusal))
        return 1
    return 0


def _own_stdout() -> BinaryIO:
    """The standard output for ourselves; everyone else's goes to standard error from now on."""
    steps = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return steps


def _build(request: Request, folder: Path, tell: Any) -> None:
    chain = recipes.parse(request.recipe, request.recipe_options)
    tell("starting TensorFlow")
    import keras

    keras.utils.set_random_seed(request.seed)
    tell("making the model")
    model = _load(Path(request.keras_file)) if request.keras_file else _make(request)
    tell("converting")
    try:
        chain.prepare(model)
        data = chain.convert(model, _representative(request, model) if chain.calibrates else ())
    except HarnessError:
        raise
    except Exception as error:
        raise BuildError(f"{request.recipe}: conversion failed: {_line(error)}") from error
    path = folder / MODEL
    with writing(folder):
        path.write_bytes(data)
    tell("inspecting")
    from harness.build.inspect import inspect

    artifact = inspect(path, variant="")
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(artifact))


def _make(request: Request) -> Any:
    """Run `build` of the user's model file."""
    import keras

    path = Path(request.model_file or "")
    static = read_model(path.parent, path.stem)
    try:
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.build(**_arguments(request, static))
    except Exception as error:
        raise BuildError(f"{path}: {_line(error)}") from error
    if not isinstance(model, keras.Model):
        raise BuildError(f"{path}: build returned {type(model).__name__}, not a keras.Model")
    return model


def _arguments(request: Request, model: Model) -> dict[str, object]:
    arguments = dict(request.options)
    if model.takes("seed"):
        arguments["seed"] = request.seed
    if request.weights is not None:
        arguments["weights"] = request.weights
    return arguments


def _load(path: Path) -> Any:
    """A .keras file, which may come from anyone: nothing in it is run but Keras's own layers."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be loaded: {_line(error)}",
            "it must be saved by Keras 3 and hold no Lambda layers or layers of your own; "
            "for those write a model file",
        ) from error


def _representative(request: Request, model: Any) -> list[Any]:
    """The images as the model wants them: its size, its number of channels, one at a time."""
    import numpy as np
    import tensorflow as tf

    if not request.representative:
        raise BuildError("no representative data were given")
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise UsageError(
            f"representative data are images, but the model's input has the shape {shape}",
            "choose a recipe that needs none: float32, float16 or dynamic_range",
        )
    images = np.load(request.representative)[..., np.newaxis].astype(np.float32)
    if images.shape[1:3] != shape[1:3]:
        images = tf.image.resize(images, shape[1:3], antialias=True).numpy()
    images = np.repeat(images, shape[3], axis=3)
    return [image[np.newaxis] for image in images]


def _line(error: BaseException) -> str:
    """An exception as one line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
