"""Training one network in the TensorFlow child, from the request to its weights and curve."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from harness.artifacts import recipes
from harness.artifacts.cache import CURVE, NETWORK, TRAINING
from harness.artifacts.child import loop, networks, transfer
from harness.artifacts.child.answers import with_probabilities
from harness.artifacts.child.batches import Examples, read
from harness.artifacts.child.loop import Phase
from harness.artifacts.child.objective import judge
from harness.artifacts.child.protocol import Epoch, Tell, Trained, TrainRequest
from harness.artifacts.child.reasons import line
from harness.artifacts.child.transfer import FEATURES
from harness.core.errors import BuildError, ConfigError, HarnessError
from harness.system import files, plugins
from harness.system.files import writing

# Batch normalization is used with the statistics of the last few dozen batches: Keras's 0.999 of
# some models remembers thousands, which a small data set does not have.
MOMENTUM = 0.9


def train(request: TrainRequest, folder: Path, tell: Tell) -> None:
    """Write the weights, the curve and a note of the trained network into `folder`."""
    started = time.monotonic()
    try:
        found = _transferred(request, tell) if request.trunk else None
        if found is not None:
            options = {**request.network.options, **found.options}
            network = msgspec.structs.replace(request.network, options=options)
            request = msgspec.structs.replace(request, network=network)
        tell("making the model")
        model = networks.make(request.network)
        _check_outputs(model, request)
        if found is not None:
            model.layers[-1].set_weights([found.head.kernel, found.head.bias])
        training = _Training(request, with_probabilities(model, _few(model, request)), tell)
        curve = training.run() if found is None else found.curve + training.fine_tuning()
    except HarnessError:
        raise
    except Exception as error:
        raise BuildError(f"training failed: {line(error)}") from error
    with writing(folder):
        networks.save(model, folder / NETWORK)
        (folder / CURVE).write_text(_csv(curve), encoding="utf-8")
        noted = Trained(
            sha256=files.sha256(folder / NETWORK),
            curve=curve,
            wall_s=time.monotonic() - started,
            cpu_s=time.process_time(),
            peak_rss_bytes=_peak_rss_bytes(),
            images=len(read(request.train)),
            taught_by=training.taught_by,
            options=found.options if found else {},
            cut=found.cut if found else None,
        )
        (folder / TRAINING).write_bytes(msgspec.json.format(msgspec.json.encode(noted)))


def _transferred(request: TrainRequest, tell: Tell) -> transfer.Found:
    """The head of a network that can be cut, and where to cut it."""
    assert request.trunk is not None and request.features is not None
    cut = request.network.options.get("cut")
    return transfer.find(
        request.trunk,
        None if cut is None else str(cut),
        read(request.train),
        read(request.validation),
        classes=request.classes,
        margin=request.margin,
        cache=Path(request.features),
        tell=tell,
    )


class _Training:
    """The phases of one training."""

    def __init__(self, request: TrainRequest, model: Any, tell: Tell) -> None:
        self._request = request
        self._settings = request.settings
        self._model = model
        self._tell = tell
        self._train = read(request.train)
        self._validation = read(request.validation)
        self._checkpoint = Path(request.checkpoint)
        self._answers: Any = None
        self.taught_by: tuple[tuple[str, float], ...] = ()

    def run(self) -> tuple[Epoch, ...]:
        """Train the model in place; the curve."""
        settings = self._settings
        if self._request.recipe:
            return self._changing()
        names = [layer.name for layer in self._model.layers]
        if self._request.features and FEATURES in names:
            return self._head() + self.fine_tuning()
        return self._phase("network", 1, settings.epochs, settings.learning_rate)

    def _changing(self) -> tuple[Epoch, ...]:
        """Train a trained network further while the recipe changes it."""
        chain = recipes.parse(self._request.recipe or "", self._request.recipe_options)
        step = chain.trainer
        assert step is not None
        rate = self._settings.learning_rate * step.options.rate
        curve = self._phase(
            step.name,
            1,
            step.options.epochs,
            rate,
            changing=lambda: step.module.Change(self._model, step.options),
        )
        step.module.prepare(self._model, step.options)
        return curve

    def _head(self) -> tuple[Epoch, ...]:
        """Train the layers after `features` on the features that the frozen trunk computes."""
        import keras

        between = self._model.get_layer(FEATURES).output
        head = keras.Model(between, self._model.outputs)
        trunk = keras.Model(self._model.inputs, between)
        trunk.trainable = False
        train, validation = self._features(trunk)
        settings = self._settings
        return self._phase(
            "head",
            1,
            settings.head_epochs,
            settings.head_rate,
            model=head,
            train=replace(self._train, inputs=train),
            validation=replace(self._validation, inputs=validation),
        )

    def _features(self, trunk: Any) -> tuple[Any, Any]:
        """float32 (n, ...) of both splits, from the cache or else computed, once."""
        import numpy as np

        path = Path(self._request.features or "")
        if not files.intact(path):
            computed = {}
            for name, examples in (("train", self._train), ("validation", self._validation)):
                self._tell(f"running the frozen trunk over the {name} images")
                computed[name] = loop.answers(trunk, examples)
            with writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.sealing(path) as file:
                    np.savez(file, **computed)
        with np.load(path) as saved:
            return saved["train"], saved["validation"]

    def fine_tuning(self) -> tuple[Epoch, ...]:
        """Train the layers from `fine_tune_from` to the end with a small learning rate. Batch
        normalization stays frozen, because its statistics come from millions of images and a few
        would spoil them."""
        settings = self._settings
        for layer in self._model.layers:
            layer.trainable = True
        if not settings.fine_tune_epochs:
            return ()
        names = [layer.name for layer in self._model.layers]
        first = settings.fine_tune_from or FEATURES
        if first not in names:
            error = plugins.unknown("fine_tune_from: layer", first, names)
            raise ConfigError(error.message, error.fix)
        for place, layer in enumerate(self._model.layers):
            frozen = place < names.index(first) or type(layer).__name__ == "BatchNormalization"
            layer.trainable = not frozen
        rate, epochs = settings.fine_tune_rate, settings.fine_tune_epochs
        return self._phase("fine-tuning", 2, epochs, rate)

    def _phase(
        self,
        name: str,
        number: int,
        epochs: int,
        learning_rate: float,
        *,
        model: Any = None,
        train: Examples | None = None,
        validation: Examples | None = None,
        changing: Callable[[], loop.Change] | None = None,
    ) -> tuple[Epoch, ...]:
        settings = self._settings
        model = model or self._model
        for layer in model.layers:
            if type(layer).__name__ == "BatchNormalization":
                layer.momentum = min(layer.momentum, MOMENTUM)
        examples = self._taught(train or self._train)
        phase = Phase(
            name,
            number,
            epochs,
            learning_rate,
            settings.batch_size,
            settings.patience,
            flips=settings.flips,
            imitation=settings.imitation if examples.answers is not None else 0.0,
            temperature=settings.temperature,
        )
        return loop.train(
            model,
            phase,
            examples,
            validation or self._validation,
            classes=self._request.classes,
            seed=self._request.seed,
            checkpoint=self._checkpoint,
            tell=self._tell,
            changing=changing,
        )

    def _taught(self, examples: Examples) -> Examples:
        """The examples with the teacher's answers to the images as they are, not mirrored."""
        if not self._request.teachers:
            return examples
        if self._answers is None:
            teacher = self._best_teacher()
            self._tell("asking the teacher")
            self._answers = loop.answers(teacher, self._train)
        return replace(examples, answers=self._answers)

    def _best_teacher(self) -> Any:
        """The teacher with the lowest loss on the validation split; the losses are noted."""
        losses, best = {}, None
        for teacher in self._request.teachers:
            self._tell(f"judging the teacher {teacher.variant}")
            model = networks.make(teacher.network)
            model = with_probabilities(model, _few(model, self._request))
            losses[teacher.variant], _ = judge(
                loop.answers(model, self._validation), self._validation.labels
            )
            if losses[teacher.variant] == min(losses.values()):
                best = model
        self.taught_by = tuple(sorted(losses.items(), key=lambda one: one[1]))
        return best


def _check_outputs(model: Any, request: TrainRequest) -> None:
    wanted = 1 if request.classes == 2 else request.classes
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if len(model.inputs) != 1 or shapes not in ([(None, wanted)], [(None, request.classes)]):
        raise ConfigError(
            f"{request.network.model_file}: to tell {request.classes} classes apart the outputs "
            f"should have the shape {(None, wanted)}, not {shapes}",
            "let build end in one sigmoid for two classes and in a softmax of `classes` for more",
        )


def _few(model: Any, request: TrainRequest) -> Any:
    """Some images of the training split, as the network wants them."""
    import numpy as np

    examples = read(request.train)
    return examples.batch(np.arange(min(len(examples), 8)), tuple(model.inputs[0].shape))


def _csv(curve: tuple[Epoch, ...]) -> str:
    rows = [Epoch.__struct_fields__, *(msgspec.structs.astuple(epoch) for epoch in curve)]
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def _peak_rss_bytes() -> int | None:
    """The high-water mark of this process since it was started; None where Linux's /proc is not."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    for row in status.splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) * 1024
    return None
