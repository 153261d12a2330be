"""The messages between the parent and the TensorFlow child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from harness.core.specs import TrainingSpec
from harness.core.types import Value

# In the folder of what is built, while it is built.
WORK = "work"
# In WORK.
REQUEST = "request.json"
REFUSAL = "refusal.json"


# The option `cut` of a model whose cut is chosen by training.
AUTO_CUT = "auto"


class Network(Value, frozen=True):
    """A Keras model and where its weights are from: the file `trained` as we saved it, else the
    network `parent` made into this one (widened if it is `grown`), else what `build` of the model
    file gives."""

    model_file: str
    options: dict[str, object] = {}
    weights: str | None = None
    seed: int = 0
    trained: str | None = None
    parent: Network | None = None
    grown: bool = False


class Images(Value, frozen=True):
    """Two .npy files: images uint8 (n, height, width) and labels int64 (n,)."""

    images: str
    labels: str


class BuildRequest(Value, frozen=True, tag="artifact"):
    """Build one artifact: load or make a Keras model, change it by the recipe, convert, inspect.

    Either `network` or `keras_file` is given. `trained` is the folder of the trained network, whose
    curve is put beside the artifact. All paths are absolute.
    """

    recipe: str
    recipe_options: dict[str, object] = {}
    network: Network | None = None
    keras_file: str | None = None
    seed: int = 0
    representative: str | None = None
    trained: str | None = None


class Teacher(Value, frozen=True):
    """A trained network that may teach, and its variant."""

    variant: str
    network: Network


class TrainRequest(Value, frozen=True, tag="training"):
    """Train one network, taught by the best of `teachers` if there are any. `features` is the file
    that keeps the outputs of its frozen trunk, None where the whole network is trained. `trunk` is
    the whole trunk of a network that can be cut: its head is solved on the features after a layer.
    If the network's option `cut` is "auto", that is the smallest cut that loses at most `margin`, a
    share of accuracy. With a `recipe` the network is changed while it is trained. `checkpoint` is a
    folder that outlives a kill.
    """

    network: Network
    settings: TrainingSpec
    classes: int
    train: Images
    validation: Images
    seed: int
    checkpoint: str
    features: str | None = None
    trunk: Network | None = None
    margin: float = 0.0
    teachers: tuple[Teacher, ...] = ()
    recipe: str | None = None
    recipe_options: dict[str, object] = {}


class Cut(Value, frozen=True):
    """Where a trunk was cut: after `layer`, which on `images` validation images loses `loss` (a
    share) against `best`, and with 95 % confidence at most `bound`; `margin` was allowed."""

    layer: str
    best: str
    loss: float
    bound: float
    images: int
    margin: float


class Epoch(Value, frozen=True):
    """One line of the training curve. `phase` is "network", "head", "head after LAYER",
    "fine-tuning" or "pruning"."""

    phase: str
    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


class Trained(Value, frozen=True):
    """What is saved beside a trained network; `wall_s` and `peak_rss_bytes` are of the process that
    finished it. `taught_by` are the teachers to choose from with their losses on the validation
    split; the first one taught. `options` are the options of the model that training chose, and
    `cut` says how the cut was chosen."""

    sha256: str
    curve: tuple[Epoch, ...]
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int | None
    images: int
    taught_by: tuple[tuple[str, float], ...] = ()
    options: dict[str, object] = {}
    cut: Cut | None = None


class Step(Value, frozen=True):
    """One line on the child's standard output: what it does now; `done` of `total` where known.
    `epoch` is the one that has just ended."""

    stage: str
    done: int | None = None
    total: int | None = None
    epoch: Epoch | None = None


class Tell(Protocol):
    """Reports what is being done, and the result of an epoch that has just ended."""

    def __call__(self, stage: str, epoch: Epoch | None = None) -> None:
        """A line on the child's standard output."""


class Refusal(Value, frozen=True):
    """Why nothing was built. `usage` is true when the request is at fault and false when building
    it failed."""

    usage: bool
    message: str
    fix: str = ""


# What a path in a request leads to: a model file, initial weights, a trained network or its folder,
# an array of images, or something that the child keeps in the cache.
Leads = Literal["model", "weights", "trained", "images", "kept"]
Move = Callable[[Leads, str], str]


def moved(request: BuildRequest | TrainRequest, move: Move) -> BuildRequest | TrainRequest:
    """The request with `move` applied to each of its paths."""
    if isinstance(request, BuildRequest):
        return msgspec.structs.replace(
            request,
            network=request.network and _network(request.network, move),
            trained=request.trained and move("trained", request.trained),
        )
    return msgspec.structs.replace(
        request,
        network=_network(request.network, move),
        train=_images(request.train, move),
        validation=_images(request.validation, move),
        checkpoint=move("kept", request.checkpoint),
        features=request.features and move("kept", request.features),
        trunk=request.trunk and _network(request.trunk, move),
        teachers=tuple(Teacher(t.variant, _network(t.network, move)) for t in request.teachers),
    )


def _network(network: Network, move: Move) -> Network:
    return msgspec.structs.replace(
        network,
        model_file=move("model", network.model_file),
        weights=network.weights and move("weights", network.weights),
        trained=network.trained and move("trained", network.trained),
        parent=network.parent and _network(network.parent, move),
    )


def _images(images: Images, move: Move) -> Images:
    return Images(images=move("images", images.images), labels=move("images", images.labels))
