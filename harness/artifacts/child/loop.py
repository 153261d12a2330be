"""The training loop in the TensorFlow child: epochs with a curve, the best weights kept, early
stopping, and a checkpoint after each epoch from which a killed training goes on."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from harness.artifacts.child import batch_norm
from harness.artifacts.child.batches import Examples, class_weights, shuffled
from harness.artifacts.child.objective import judge, objective
from harness.artifacts.child.protocol import Epoch, Tell
from harness.core.errors import BuildError
from harness.system import files
from harness.system.files import writing
from harness.system.pace import Pace

_JUDGED_AT_ONCE = 16
# A checkpoint that takes longer than this is written only where training it anew would take
# `_WORTH` times as long: a checkpoint of a large network's head takes half a gigabyte, but the head
# is trained in seconds.
_CHEAP_S, _WORTH = 0.1, 10
# A validation loss that falls by less than this share counts as flat: it does not prolong the
# training, although its weights are kept.
_FLAT = 0.01
# After each epoch this many validation images are judged, or half as many as the training images:
# judging should not take longer than learning.
_LEAST_JUDGED = 200


class Change(Protocol):
    """A recipe that changes the network while it is trained, such as pruning."""

    def after_batch(self, step: int, steps: int) -> None:
        """Called after batch number `step` (from 1) of `steps`."""

    def settled(self, step: int, steps: int) -> bool:
        """Whether the change is complete, so that the weights may be kept as the best."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what it is called and how it is done. `number` tells the phases of
    one training apart in the seed of their batches."""

    name: str
    number: int
    epochs: int
    learning_rate: float
    batch_size: int
    patience: int
    flips: bool = False
    imitation: float = 0.0
    temperature: float = 1.0


def train(
    model: Any,
    phase: Phase,
    examples: Examples,
    validation: Examples,
    *,
    classes: int,
    seed: int,
    checkpoint: Path,
    tell: Tell,
    changing: Callable[[], Change] | None = None,
) -> tuple[Epoch, ...]:
    """Train the Keras model in place and return the curve. The model ends with the weights that did
    best on `validation`. A phase that is finished according to `checkpoint` is not trained again.
    `changing` makes the change, after the model was restored to where training was interrupted."""
    import keras

    loss = objective(classes, phase.imitation, phase.temperature)
    model.compile(optimizer=keras.optimizers.Adam(phase.learning_rate), loss=loss)
    model.optimizer.build(model.trainable_variables)
    state = _State.resumed(model, checkpoint / f"{phase.number}-{phase.name}.npz")
    change = changing() if changing else None
    weights = class_weights(examples.labels, classes)
    steps = math.ceil(len(examples) / phase.batch_size)
    judged = validation.first(max(_LEAST_JUDGED, len(examples) // 2))
    pace, resumed_at = Pace(), len(state.curve)

    def goes_on() -> bool:
        return len(state.curve) < phase.epochs and state.since_best < phase.patience

    def how_far() -> str:
        done = len(state.curve)
        left = pace.left(done - resumed_at, phase.epochs - resumed_at)
        now = f"epoch {done + 1} of {phase.epochs}{left}" if goes_on() else f"{done} epochs"
        said = f"; validation accuracy {state.curve[-1].validation_accuracy:.3f}" if done else ""
        return f"training ({phase.name}, {now}{said})"

    if goes_on():
        tell(how_far())
    while goes_on():
        done = len(state.curve)
        model.optimizer.learning_rate = phase.learning_rate * _annealed(done / phase.epochs)
        total = 0.0
        batches = shuffled(
            examples,
            model.input_shape,
            size=phase.batch_size,
            key=(seed, phase.number, done),
            flips=phase.flips,
        )
        for place, (inputs, targets, chosen) in enumerate(batches, start=1):
            weight = weights[examples.labels[chosen]]
            model.reset_metrics()
            with batch_norm.in_one_operation():
                value = model.train_on_batch(inputs, targets, weight, return_dict=True)["loss"]
            total += float(value) * len(chosen)
            if change is not None:
                change.after_batch(done * steps + place, phase.epochs * steps)
        train_loss = total / len(examples)
        if not math.isfinite(train_loss):
            raise BuildError(
                f"training diverged in epoch {done + 1}: the loss is {train_loss}",
                "lower its learning_rate in variants.yaml",
            )
        validation_loss, accuracy = judge(answers(model, judged), judged.labels)
        kept = change is None or change.settled((done + 1) * steps, phase.epochs * steps)
        epoch = Epoch(phase.name, done + 1, train_loss, validation_loss, accuracy)
        state.add(epoch, keep=kept)
        state.save_if_worth()
        tell(how_far(), epoch)
    state.save()
    state.restore_best()
    return state.curve


def answers(model: Any, examples: Examples) -> Any:
    """float32 (n, outputs): the network's output for each example."""
    import numpy as np

    return np.concatenate(
        [
            model.predict_on_batch(
                examples.batch(
                    np.arange(start, min(start + _JUDGED_AT_ONCE, len(examples))),
                    model.input_shape,
                )
            )
            for start in range(0, len(examples), _JUDGED_AT_ONCE)
        ]
    )


def _annealed(done: float) -> float:
    """The share of the learning rate after a share of the epochs: half a cosine, never zero."""
    return 0.5 * (1 + math.cos(math.pi * done))


class _State:
    """A training under way: the network and its optimizer as they are, the best weights so far and
    the curve."""

    def __init__(self, model: Any, path: Path) -> None:
        self._model = model
        self._path = path
        # Everything that training continues from: weights, the optimizer's moments and counters,
        # and the state of dropout's generators.
        unique = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
        metrics = {id(v) for v in model.metrics_variables}
        self._variables = [v for key, v in unique.items() if key not in metrics]
        self._best: list[Any] = model.get_weights()
        self._best_loss = math.inf
        # The last loss that was clearly better than those before it, and the epochs since then.
        self._waiting_from = math.inf
        self.since_best = 0
        self.curve: tuple[Epoch, ...] = ()
        self._saved_at, self._saving_took_s = time.monotonic(), 0.0
        self._unsaved = False

    @classmethod
    def resumed(cls, model: Any, path: Path) -> _State:
        """The training resumed from `path` if there is a checkpoint there, else from the start."""
        import numpy as np

        state = cls(model, path)
        try:
            with np.load(path) as saved:
                arrays = dict(saved)
        except FileNotFoundError:
            return state
        except (OSError, EOFError, ValueError, zipfile.BadZipFile):
            return state  # incomplete after a power failure
        for place, variable in enumerate(state._variables):
            variable.assign(arrays[f"variable_{place}"])
        state._best = [arrays[f"best_{place}"] for place in range(len(state._best))]
        state._best_loss = float(arrays["best_loss"])
        state._waiting_from = float(arrays["waiting_from"])
        state.since_best = int(arrays["since_best"])
        state.curve = msgspec.json.decode(arrays["curve"].tobytes(), type=tuple[Epoch, ...])
        return state

    def add(self, epoch: Epoch, *, keep: bool) -> None:
        """Add an epoch; keep its weights if they are the best so far and `keep` allows it."""
        self.curve += (epoch,)
        self._unsaved = True
        if not keep:
            return
        flat = epoch.validation_loss > self._waiting_from * (1 - _FLAT)
        self.since_best = self.since_best + 1 if flat else 0
        if not flat:
            self._waiting_from = epoch.validation_loss
        if epoch.validation_loss < self._best_loss:
            self._best, self._best_loss = self._model.get_weights(), epoch.validation_loss

    def save_if_worth(self) -> None:
        """Save, unless writing takes long and little would be lost."""
        since_s = time.monotonic() - self._saved_at
        if self._saving_took_s < _CHEAP_S or since_s > _WORTH * self._saving_took_s:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; do nothing if nothing is new."""
        import numpy as np

        if not self._unsaved:
            return
        began = time.monotonic()
        arrays: dict[str, Any] = {
            f"variable_{i}": np.asarray(v) for i, v in enumerate(self._variables)
        }
        arrays |= {f"best_{i}": value for i, value in enumerate(self._best)}
        arrays["best_loss"] = np.float64(self._best_loss)
        arrays["waiting_from"] = np.float64(self._waiting_from)
        arrays["since_best"] = np.int64(self.since_best)
        arrays["curve"] = np.frombuffer(msgspec.json.encode(self.curve), np.uint8)
        with writing(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed, which takes seconds for a large network: `resumed` notices a torn file.
            with files.replacing(self._path, flush=False) as file:
                np.savez(file, **arrays)
        self._unsaved, self._saved_at = False, time.monotonic()
        self._saving_took_s = self._saved_at - began

    def restore_best(self) -> None:
        """The network as it was when it did best."""
        self._model.set_weights(self._best)
