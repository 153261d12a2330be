"""Images for a network in the TensorFlow child: of its size and channels, in seeded batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.artifacts.child.protocol import Images
from harness.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def fitted(images: Any, shape: tuple[int | None, ...]) -> Floats:
    """uint8 (n, height, width) -> float32 (n, *shape[1:]), grey values 0 to 255, for a network
    whose input has this shape. Raises UsageError if it is not the shape of an image."""
    import numpy as np

    if len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise UsageError(
            f"data are images, but the model's input has the shape {shape}",
            "the input must be (height, width, 1 or 3); float32, float16 and dynamic_range can "
            "be built without data, with --untrained",
        )
    pixels = np.asarray(images)[..., np.newaxis].astype(np.float32)
    if pixels.shape[1:3] != shape[1:3]:
        import tensorflow as tf

        pixels = tf.image.resize(pixels, shape[1:3], antialias=True).numpy()
    return np.repeat(pixels, shape[3], axis=3)


@dataclass(frozen=True)
class Examples:
    """What a network learns from or is judged by: inputs (images uint8 (n, height, width), or
    features float32), labels (n,) and, from a teacher, its answers (n, outputs)."""

    inputs: Any
    labels: Any
    answers: Any = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Any, shape: tuple[int | None, ...]) -> Any:
        """The chosen inputs as a network with this input shape wants them."""
        inputs = self.inputs[chosen]
        return inputs if inputs.dtype.kind == "f" else fitted(inputs, shape)

    def first(self, count: int) -> Examples:
        """The first `count` examples, or all if there are fewer. They are a random sample, because
        the order of a split does not depend on its images."""
        answers = None if self.answers is None else self.answers[:count]
        return Examples(self.inputs[:count], self.labels[:count], answers)

    def targets(self, chosen: Any) -> Any:
        """float32 (m, 1) or (m, 1 + outputs): the label, then the teacher's answers."""
        import numpy as np

        labels = self.labels[chosen].astype(np.float32)[:, np.newaxis]
        if self.answers is None:
            return labels
        return np.concatenate([labels, self.answers[chosen]], axis=1)


def read(images: Images) -> Examples:
    """The arrays of a split; the images stay on the disk until they are read."""
    import numpy as np

    return Examples(np.load(images.images, mmap_mode="r"), np.load(images.labels))


def shuffled(
    examples: Examples,
    shape: tuple[int | None, ...],
    *,
    size: int,
    key: tuple[int, ...],
    flips: bool,
) -> Iterator[tuple[Any, Any, Any]]:
    """One epoch: (inputs, targets, indices) of each batch, in an order that follows from `key`.

    With `flips` each square image is mirrored and turned at random into one of its eight forms.
    """
    import numpy as np

    rng = np.random.default_rng(key)
    order = rng.permutation(len(examples))
    for start in range(0, len(order), size):
        chosen = np.sort(order[start : start + size])
        inputs = examples.batch(chosen, shape)
        if flips and inputs.ndim == 4:
            inputs = _flipped(inputs, rng)
        yield inputs, examples.targets(chosen), chosen


def _flipped(images: Floats, rng: Any) -> Floats:
    import numpy as np

    square = images.shape[1] == images.shape[2]
    flipped = np.empty_like(images)
    for image, into, form in zip(images, flipped, rng.integers(8, size=len(images)), strict=True):
        seen = image[::-1] if form & 1 else image
        seen = seen[:, ::-1] if form & 2 else seen
        into[:] = seen.transpose(1, 0, 2) if form & 4 and square else seen
    return flipped


def class_weights(labels: Any, classes: int) -> Any:
    """float32 (classes,): the weight of an example of each class, such that all classes weigh the
    same; 0 for a class without examples."""
    import numpy as np

    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)
