"""A frozen trunk that is cut after one of its layers, and a head trained on the trunk's features.

The trunk is run over the images once. The features at every layer where it can end are kept in the
cache, so that another cut or another head takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.artifacts.child import networks
from harness.artifacts.child.batches import Examples
from harness.artifacts.child.heads import Head, solve
from harness.artifacts.child.protocol import AUTO_CUT, Cut, Epoch, Network
from harness.core.errors import ConfigError
from harness.stats import paired_loss
from harness.system import files, plugins
from harness.system.files import writing
from harness.system.pace import Pace

# The layer that ends a whole trunk.
FEATURES = "features"

_AT_ONCE = 16
_ALPHA = 0.05

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """The head to put on the trunk, and where the trunk ends: `options` are the model's, and `cut`
    says how it was chosen, None if it was given."""

    head: Head
    options: dict[str, object]
    curve: tuple[Epoch, ...]
    cut: Cut | None = None


def find(
    trunk: Network,
    wanted: str | None,
    train: Examples,
    validation: Examples,
    *,
    classes: int,
    margin: float,
    cache: Path,
    tell: Tell,
) -> Found:
    """The head for the cut `wanted`: the name of a layer, None for the whole trunk, or AUTO_CUT."""
    features = features_of(trunk, {"train": train, "validation": validation}, cache, tell)
    every = list(features["train"])
    if wanted not in (AUTO_CUT, None) and wanted not in every:
        error = plugins.unknown("cut: layer", str(wanted), every)
        raise ConfigError(error.message, error.fix)
    heads = {}
    for layer in every if wanted == AUTO_CUT else [wanted or FEATURES]:
        tell(f"training the head after {layer}")
        heads[layer] = solve(
            features["train"][layer],
            train.labels,
            features["validation"][layer],
            validation.labels,
            classes,
        )
    chosen = next(iter(heads))
    cut = None
    if wanted == AUTO_CUT:
        cut = choose({layer: head.right for layer, head in heads.items()}, margin)
        chosen = cut.layer
    curve = tuple(
        Epoch(
            f"head after {layer}",
            1,
            head.train_loss,
            head.validation_loss,
            head.validation_accuracy,
        )
        for layer, head in heads.items()
    )
    ends = None if chosen == FEATURES else chosen
    return Found(heads[chosen], {"cut": ends}, curve, cut)


def choose(right: Mapping[str, Any], margin: float) -> Cut:
    """The smallest cut that, like every cut between it and the most accurate one, is shown to lose
    at most `margin` against that one, by the one-sided 95 % bound of its loss.

    Going down from the most accurate cut and stopping at the first that is not shown to pass keeps
    the error of the whole search at 5 %, however many cuts there are (a fixed sequence of tests;
    Maurer, Hothorn & Lehmacher 1995). The smallest of many that pass would often pass by chance.

    `right` maps each cut, from the smallest to the largest, to which validation images it answers
    correctly, bool (n,).
    """
    layers = list(right)
    best = max(layers, key=lambda layer: right[layer].mean())
    images = len(right[best])
    chosen = Cut(best, best, 0.0, _bound(right[best], right[best]), images, margin)
    for layer in reversed(layers[: layers.index(best)]):
        bound = _bound(right[best], right[layer])
        if bound > margin:
            break
        loss = (int(right[best].sum()) - int(right[layer].sum())) / images
        chosen = Cut(layer, best, loss, bound, images, margin)
    return chosen


def _bound(best: Any, row: Any) -> float:
    """The one-sided 95 % upper bound of the accuracy that `row` loses against `best`, both bool
    (n,)."""
    lost, gained = int((best & ~row).sum()), int((row & ~best).sum())
    return float(paired_loss.upper(lost, gained, len(row), _ALPHA)[0])


def features_of(
    trunk: Network, splits: Mapping[str, Examples], path: Path, tell: Tell
) -> dict[str, dict[str, Any]]:
    """The features by split and layer, float32 (n, channels): the mean over all positions of the
    output of each layer where the trunk can end. Read from the file `path`, or computed and written
    to it."""
    import numpy as np

    if not files.intact(path):
        computed = _computed(trunk, splits, tell)
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.sealing(path) as file:
                np.savez(file, **computed)
    read: dict[str, dict[str, Any]] = {split: {} for split in splits}
    with np.load(path) as saved:
        for name in saved.files:
            split, _, layer = name.partition("/")
            read[split][layer] = saved[name]
    return read


def _computed(trunk: Network, splits: Mapping[str, Examples], tell: Tell) -> dict[str, Any]:
    import keras
    import numpy as np

    model = networks.make(trunk)
    cuts = networks.cuts(trunk, model)
    names = [*cuts, FEATURES]
    pooled = [
        keras.layers.GlobalAveragePooling2D()(model.get_layer(layer).output) for layer in cuts
    ]
    frozen = keras.Model(model.inputs, [*pooled, model.get_layer(FEATURES).output])
    computed, done = {}, 0
    pace = Pace()
    total = sum(len(examples) for examples in splits.values())
    for split, examples in splits.items():
        batches = []
        for start in range(0, len(examples), _AT_ONCE):
            far = f"{done} of {total}{pace.left(done, total)}"
            tell(f"running the frozen trunk over the images ({far})")
            chosen = np.arange(start, min(start + _AT_ONCE, len(examples)))
            batches.append(frozen.predict_on_batch(examples.batch(chosen, frozen.input_shape)))
            done += len(chosen)
        for place, layer in enumerate(names):
            computed[f"{split}/{layer}"] = np.concatenate([batch[place] for batch in batches])
    return computed
