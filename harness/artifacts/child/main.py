"""The only process that imports TensorFlow: `python -m harness.artifacts.child.main FOLDER`.

Reads FOLDER/work/request.json and writes into FOLDER an artifact or a trained network; if it
cannot, work/refusal.json and exit status 1. Standard output carries one JSON object per step;
whatever libraries print goes to standard error, which is the log.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness.artifacts import recipes
from harness.artifacts.cache import CURVE, DESCRIPTION, MODEL, TRAINING
from harness.artifacts.child.protocol import (
    REFUSAL,
    REQUEST,
    WORK,
    BuildRequest,
    Cut,
    Epoch,
    Refusal,
    Step,
    Trained,
    TrainRequest,
)
from harness.artifacts.child.reasons import line
from harness.core.errors import BuildError, HarnessError, UsageError
from harness.core.types import Finding
from harness.system.files import writing


def main(folder: Path) -> int:
    """Do what the request asks for; the exit status."""
    steps = _own_stdout()

    def tell(stage: str, epoch: Epoch | None = None) -> None:
        steps.write(msgspec.json.encode(Step(stage=stage, epoch=epoch)) + b"\n")
        steps.flush()

    text = (folder / WORK / REQUEST).read_bytes()
    request = msgspec.json.decode(text, type=BuildRequest | TrainRequest)
    try:
        _start(request.seed)
        if isinstance(request, TrainRequest):
            from harness.artifacts.child.training import train

            train(request, folder, tell)
        else:
            _build(request, folder, tell)
    except HarnessError as error:
        traceback.print_exc()
        usage = isinstance(error, UsageError)
        refusal = Refusal(usage=usage, message=error.message, fix=error.fix)
        (folder / WORK / REFUSAL).write_bytes(msgspec.json.encode(refusal))
        return 1
    return 0


def _start(seed: int) -> None:
    """Make Keras and TensorFlow give the same numbers for the same seed."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _own_stdout() -> BinaryIO:
    """The standard output for ourselves; everyone else's goes to standard error from now on."""
    steps = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return steps


def _build(request: BuildRequest, folder: Path, tell: Callable[[str], None]) -> None:
    from harness.artifacts.child import networks, saved_model

    chain = recipes.parse(request.recipe, request.recipe_options)
    tell("making the model")
    brought = Path(request.keras_file or "")
    model = served = None
    if request.network:
        model = networks.make(request.network)
    elif brought.is_file():
        model = networks.load(brought)
    tell("converting")
    try:
        if model is None:
            served = saved_model.load(brought)
            data = bytes(served.converter().convert())
        else:
            chain.prepare(model)
            data = chain.convert(model, _representative(request, model) if chain.calibrates else ())
    except HarnessError:
        raise
    except Exception as error:
        raise BuildError(f"{request.recipe}: conversion failed: {line(error)}") from error
    path = folder / MODEL
    with writing(folder):
        path.write_bytes(data)
        if request.trained:
            shutil.copy(Path(request.trained) / CURVE, folder / CURVE)
    tell("inspecting")
    from harness.artifacts.child import faithful
    from harness.artifacts.tflite.inspect import inspect

    artifact = inspect(path, variant="")
    if request.keras_file:
        import numpy as np

        pictures = np.load(request.representative) if request.representative else None
        if served is not None:
            found = faithful.findings(served.inputs, served.ask, path, pictures)
        else:
            found = faithful.of_keras(model, path, pictures)
        artifact = msgspec.structs.replace(artifact, findings=(*artifact.findings, *found))
    if request.trained:
        text = (Path(request.trained) / TRAINING).read_bytes()
        noted = msgspec.json.decode(text, type=Trained)
        found = (*artifact.findings, *_about_training(noted))
        artifact = msgspec.structs.replace(artifact, findings=found, options=noted.options)
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(artifact))


def _about_training(noted: Trained) -> tuple[Finding, ...]:
    """What the report should say of how the network was trained: who taught it, where it is cut."""
    found = []
    if noted.taught_by:
        (best, loss), *others = noted.taught_by
        than = ", ".join(f"{name} {other:.3f}" for name, other in others)
        message = f"it learned from the answers of {best}, whose validation loss is {loss:.3f}"
        if than:
            message += f" ({than})"
        found.append(Finding(level="info", code="distilled", message=message))
    if noted.cut:
        found.append(Finding(level="info", code="cut-chosen", message=_about_cut(noted.cut)))
    return tuple(found)


def _about_cut(cut: Cut) -> str:
    lost, bound, margin = (f"{part * 100:.1f}" for part in (cut.loss, cut.bound, cut.margin))
    where = f"the trunk ends after {cut.layer}"
    if cut.layer == cut.best:
        return (
            f"{where}, the most accurate cut on the {cut.images} validation images; none smaller "
            f"is shown to lose at most {margin} points, half of the margin"
        )
    return (
        f"{where}: on the {cut.images} validation images it loses {lost} points against the cut "
        f"after {cut.best}, and at most {bound} with 95 % confidence, within {margin}, half of the "
        "margin"
    )


def _representative(request: BuildRequest, model: Any) -> list[Any]:
    """The images as the model wants them, one at a time."""
    import numpy as np

    from harness.artifacts.child.batches import fitted
    from harness.artifacts.recipes._tflite import inputs_of

    if not request.representative:
        raise BuildError("no representative data were given")
    first = inputs_of(model)[0]
    images = fitted(np.load(request.representative), tuple(first.shape))
    return [image[np.newaxis] for image in images]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
