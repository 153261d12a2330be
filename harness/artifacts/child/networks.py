"""Keras networks: built by the user's model file, loaded from a file, or made from another one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from harness.artifacts.cache import TRAINING
from harness.artifacts.child.protocol import Network, Trained
from harness.artifacts.child.reasons import line
from harness.artifacts.child.widen import widen
from harness.artifacts.sources import read_model
from harness.core.errors import BuildError, ConfigError, HarnessError, UsageError


def make(network: Network) -> Any:
    """The Keras model with its weights. Raises BuildError with the model file if its code fails."""
    import keras

    path = Path(network.model_file)
    try:
        module = _module(path)
        model = module.build(**_arguments(_chosen(network)))
        if not isinstance(model, keras.Model):
            raise BuildError(f"{path}: build returned {type(model).__name__}, not a keras.Model")
        if network.trained:
            _restore(model, Path(network.trained))
        elif network.parent:
            change = widen if network.grown else getattr(module, "inherit", copy)
            change(model, make(network.parent))
    except HarnessError:
        raise
    except Exception as error:
        raise BuildError(f"{path}: {line(error)}") from error
    return model


def _chosen(network: Network) -> Network:
    """The network with the options that its training chose, such as `cut`."""
    if network.trained is None:
        return network
    noted = Path(network.trained).with_name(TRAINING)
    options = msgspec.json.decode(noted.read_bytes(), type=Trained).options
    return msgspec.structs.replace(network, options={**network.options, **options})


def cuts(network: Network, model: Any) -> list[str]:
    """The names of the layers after which the trunk of `model`, made from `network`, can end."""
    path = Path(network.model_file)
    module = _module(path)
    if not hasattr(module, "cuts"):
        raise ConfigError(
            f"{path}: build takes cut, but the file does not say where the trunk can end",
            "define cuts(model), which returns the names of layers from the first to the last",
        )
    return list(module.cuts(model))


def save(model: Any, path: Path) -> None:
    """The weights, in their order, without the optimizer; the same bytes for the same weights."""
    import numpy as np

    np.savez(path, *model.get_weights())


def _restore(model: Any, path: Path) -> None:
    import numpy as np

    with np.load(path) as saved:
        model.set_weights([saved[f"arr_{place}"] for place in range(len(saved.files))])


def copy(model: Any, parent: Any) -> None:
    """Copy all weights of `parent`: how a network inherits if its model file has no function
    `inherit`."""
    shapes = [[tuple(weight.shape) for weight in one.weights] for one in (model, parent)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"{model.name} cannot inherit from {parent.name}: their weights differ in shape",
            "define inherit(model, parent) in the model file",
        )
    model.set_weights(parent.get_weights())


def load(path: Path) -> Any:
    """Load a .keras or .h5 file. It may come from anyone, so only Keras's own layers are run."""
    import keras

    _refuse_lambdas(path)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be loaded: {line(error)}",
            "it must hold no Lambda layers or layers of your own; for those write a model file",
        ) from error


def _refuse_lambdas(path: Path) -> None:
    """Raise if an .h5 file holds Python code: Keras's safe mode does not cover .h5 files."""
    if path.suffix.lower() == ".keras":
        return
    from harness.artifacts.sizes import keras_file

    kinds = {layer.kind for layer in keras_file.read(path).network.layers.values()}
    if "Lambda" in kinds:
        raise UsageError(
            f"{path} holds a Lambda layer, which is code, and is not run",
            "replace it by a layer of Keras, or write a model file",
        )


def _module(path: Path) -> ModuleType:
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _arguments(network: Network) -> dict[str, object]:
    static = read_model(Path(network.model_file).parent, Path(network.model_file).stem)
    arguments = dict(network.options)
    if static.takes("seed"):
        arguments["seed"] = network.seed
    if network.weights is not None:
        arguments["weights"] = network.weights
    return arguments
