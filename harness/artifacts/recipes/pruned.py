"""Sets the smallest weights to zero. The file keeps its size; its gzip gets smaller.

Magnitude pruning along a polynomial schedule (Zhu & Gupta 2017, https://arxiv.org/abs/1710.01878).
The threshold is the same for all kernels of the network, so large dense layers lose a larger share
than small convolutions. Biases are not pruned. Pruning during training (`Change`) lets the other
weights make up for the lost ones. `prepare` makes the sparsity exact; without training, it is the
only step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from harness.core.types import Value


class Options(Value, frozen=True):
    """`sparsity` is the share of all kernels' weights that is zero in the end. A trained network is
    trained for `epochs` more at the share `rate` of its learning rate while it is pruned."""

    sparsity: Annotated[float, Meta(ge=0, lt=1)] = 0.8
    epochs: Annotated[int, Meta(ge=0)] = 4
    rate: Annotated[float, Meta(gt=0, le=1)] = 0.3


def prepare(model: Any, options: Options) -> None:
    """Prune `model` in place to exactly `options.sparsity`; no change if it already has that
    sparsity."""
    Pruner(model).to(options.sparsity)


def schedule(step: int, steps: int, final: float, initial: float = 0.0) -> float:
    """Sparsity after `step` of `steps`: it rises fast at first, while many weights do not matter,
    then ever more slowly (a cubic polynomial)."""
    done = min(max(step / steps, 0.0), 1.0) if steps > 0 else 1.0
    return final + (initial - final) * (1 - done) ** 3


def smallest(kernels: Sequence[Any], sparsity: float) -> list[Any]:
    """Boolean arrays, one per kernel, true for the `round(sparsity * size)` smallest weights of
    all by magnitude, where `size` is the number of all weights; of equal weights the first are
    chosen."""
    import numpy as np

    magnitudes = np.concatenate([np.abs(kernel).reshape(-1) for kernel in kernels] or [[]])
    order = np.argsort(magnitudes, kind="stable")
    pruned = np.zeros(magnitudes.size, bool)
    pruned[order[: round(sparsity * magnitudes.size)]] = True
    ends = np.cumsum([kernel.size for kernel in kernels])[:-1].astype(int)
    parts = np.split(pruned, ends) if len(kernels) else []
    return [part.reshape(kernel.shape) for part, kernel in zip(parts, kernels, strict=True)]


class Pruner:
    """The kernels of a Keras model and which of their weights are pruned."""

    def __init__(self, model: Any) -> None:
        self._kernels = [w for w in model.weights if w.path.rpartition("/")[2].endswith("kernel")]
        # Zeros were pruned before, perhaps by a training that was interrupted.
        self._masks = [kernel.numpy() == 0 for kernel in self._kernels]

    def to(self, sparsity: float) -> None:
        """Choose the weights to prune anew, by their magnitude now, and make them zero."""
        self._masks = smallest([kernel.numpy() for kernel in self._kernels], sparsity)
        self.hold()

    def hold(self) -> None:
        """Make the pruned weights zero again, after an optimizer's step has moved them."""
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            values = kernel.numpy()
            values[mask] = 0
            kernel.assign(values)


class Change:
    """Prunes while `model` is trained: along the schedule for the first two thirds of the batches,
    once in `every`; then the masks stay and what is left goes on learning."""

    def __init__(self, model: Any, options: Options, every: int = 8) -> None:
        self._pruner = Pruner(model)
        self._sparsity = options.sparsity
        self._every = every

    def after_batch(self, step: int, steps: int) -> None:
        """Called after batch number `step` (from 1) of `steps`."""
        ramp = max(1, 2 * steps // 3)
        if step < ramp and step % self._every == 0:
            self._pruner.to(schedule(step, ramp, self._sparsity))
        elif step == ramp:
            self._pruner.to(self._sparsity)
        else:
            self._pruner.hold()

    def settled(self, step: int, steps: int) -> bool:
        """Whether the network has its final sparsity, so that its weights may be kept."""
        return step >= max(1, 2 * steps // 3)
