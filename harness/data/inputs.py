"""Input sets: the examples that a model is timed on, one file per kind of input.

Latency can depend on the inputs (denormal floats, early exits), and a worker must read its inputs
without our code. So they are prepared once, as an .npz, from pictures where these fit the model.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.core.errors import UsageError
from harness.core.pixels import Pixels, step_of
from harness.core.types import Artifact, TensorInfo
from harness.data import demo
from harness.data.decode import grey_of
from harness.system import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

DEMO_IMAGES = "demo images"
SEEDED_RANDOM = "seeded random"

# Part of every file name: raise it whenever the same arguments give other bytes.
VERSION = 3
_PLAIN = ("uint8", "float16", "float32", "float64")
_QUANTIZED = ("int8", "int16")
_LIMITED = (*_QUANTIZED, "uint8")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def inputs_for(
    artifact: Artifact,
    cache: Path,
    *,
    images: Callable[[], NDArray[np.uint8]] | None = None,
    source: str = DEMO_IMAGES,
    fingerprint: str | None = None,
    seed: int = 0,
    count: int = 4,
) -> Path:
    """The .npz with `count` examples for `artifact`; made only if `cache` does not have it.

    It holds `input_{i}` of shape (count, *shape) in the type of input i, and `source`, a text.
    Inputs shaped like a picture, (1, height, width, 1 or 3), get the first of `images`, uint8 (n,
    height, width) or (n, height, width, 3), or demo images, as `artifact.shown` says; networks that
    were trained here get greys. All others get seeded random numbers: floats in [0, 1), integers 0
    to 9. `source` is then "seeded random" if no input took pictures. `images` come with a
    `fingerprint` of their content, by which the cache finds them without reading them.

    Raises UsageError if the cache cannot be written to.
    """
    if images is not None and fingerprint is None:
        raise ValueError("images need a fingerprint, or the cache cannot tell them apart")
    pictures = [takes_pictures(tensor) for tensor in artifact.inputs]
    if not any(pictures):
        source, fingerprint = SEEDED_RANDOM, None
    key = msgspec.json.encode(
        [
            VERSION,
            demo.VERSION,
            seed,
            count,
            fingerprint,
            source,
            [
                [tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point]
                for tensor in artifact.inputs
            ],
            *([artifact.shown.mean, artifact.shown.std] if any(pictures) else []),
            artifact.model is None,
        ]
    )
    path = cache / "inputs" / f"{hashlib.sha256(key).hexdigest()[:32]}.npz"
    if path.is_file():
        return path
    shown = None
    if any(pictures):
        shown = (
            images()
            if images
            else demo.generate(count, seed=seed, difficulty=demo.PLAIN_DIFFICULTY)[0]
        )
        if artifact.model is not None and shown.ndim == 4:
            shown = grey_of(shown[:count])
    arrays = {
        f"input_{place}": _pictures(tensor, shown, count, artifact.shown)
        if shown is not None and fits
        else _random(tensor, count, seed, place)
        for place, (tensor, fits) in enumerate(zip(artifact.inputs, pictures, strict=True))
    }
    _write(path, arrays, source)
    return path


def takes_pictures(tensor: TensorInfo) -> bool:
    """(1, height, width, 1 or 3), of a type that can hold grey values."""
    return (
        len(tensor.shape) == 4
        and tensor.shape[0] == 1
        and tensor.shape[3] in (1, 3)
        and (tensor.dtype in _PLAIN or (tensor.dtype in _QUANTIZED and tensor.scale is not None))
    )


def _pictures(tensor: TensorInfo, images: NDArray[np.uint8], count: int, pixels: Pixels) -> Array:
    """(count, 1, height, width, channels); the images again from the first if they are too few."""
    import numpy as np

    if not len(images):
        raise ValueError("an input set needs at least one image")
    return given(tensor, images[np.arange(count) % len(images)], pixels).values[:, np.newaxis]


class Given(NamedTuple):
    """`values` are (n, height, width, channels) in the input's type; `clipped` counts those that
    the type could not hold by more than a step."""

    values: Array
    clipped: int


def given(tensor: TensorInfo, images: NDArray[np.uint8], pixels: Pixels) -> Given:
    """Images, uint8 (n, height, width) or (n, height, width, 3), as `tensor` wants them: resized,
    grey or in colour as it has channels, as `pixels` say, and in its own type and scale."""
    import numpy as np

    _, height, width, channels = tensor.shape
    if images.ndim == 4 and channels == 1:
        images = grey_of(images)
    seen = _resized(_resized(images, height, 1), width, 2)
    if seen.ndim == 3:
        seen = seen[..., np.newaxis]
    real = (seen - np.array(pixels.mean)) / np.array(pixels.std)
    clipped = 0
    scale = step_of(tensor.dtype, tensor.scale)
    if scale and tensor.dtype in _LIMITED:
        limits = np.iinfo(tensor.dtype)
        steps = np.rint(real / scale + (tensor.zero_point or 0))
        clipped = int(np.count_nonzero((steps < limits.min - 1) | (steps > limits.max + 1)))
        real = np.clip(steps, limits.min, limits.max)
    values = np.broadcast_to(real, (*real.shape[:3], channels))
    return Given(np.asarray(values.astype(tensor.dtype)), clipped * channels // real.shape[3])


def _resized(images: Array, size: int, axis: int) -> NDArray[np.float64]:
    """One axis resized: each new pixel is the mean of the old ones that it covers, weighted by how
    much of them it covers."""
    import numpy as np

    pixels = images.astype(np.float64)
    if images.shape[axis] == size:
        return pixels
    # The integral up to each border between new pixels; it is linear inside an old pixel.
    borders = np.linspace(0.0, images.shape[axis], size + 1)
    zero = np.zeros_like(np.take(pixels, [0], axis))
    total = np.concatenate([zero, np.cumsum(pixels, axis)], axis)
    left = np.minimum(borders.astype(np.intp), images.shape[axis] - 1)
    part = (borders - left).reshape([-1 if i == axis else 1 for i in range(pixels.ndim)])
    below, above = np.take(total, left, axis), np.take(total, left + 1, axis)
    resized = np.diff(below + part * (above - below), axis=axis)
    return np.asarray(resized * (size / images.shape[axis]))


def _random(tensor: TensorInfo, count: int, seed: int, place: int) -> Array:
    import numpy as np

    shape = (count, *tensor.shape)
    # Raw output of PCG64, which numpy guarantees; its distributions may change.
    raw = np.random.PCG64(np.random.SeedSequence((seed, place))).random_raw(int(np.prod(shape)))
    bits = np.asarray(raw, np.uint64).reshape(shape)
    if tensor.dtype == "bool":
        return np.asarray(bits >> np.uint64(63), np.bool_)
    if tensor.dtype.startswith("float"):
        kept = 11 if tensor.dtype == "float16" else 24  # more bits could round up to 1
        return np.asarray((bits >> np.uint64(64 - kept)) / 2.0**kept, tensor.dtype)
    return np.asarray(bits % np.uint64(10), tensor.dtype)


def _write(path: Path, arrays: dict[str, Array], source: str) -> None:
    """An .npz whose bytes follow from its content alone: no times, no compression."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in [*arrays.items(), ("source", np.array(source))]:
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.array(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), entry.getvalue())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.parent}: {error.strerror or error}",
            "make room there or make it writable, or set MOBILE_BENCH_CACHE",
        ) from None
