"""The demo images: grey pictures of a concrete-like surface, half of them with a crack.

They are used when the user gives no folder, so they must be the same everywhere: every byte follows
from (seed, index, difficulty, size) alone. Random bits are the raw output of PCG64, whose stream
numpy guarantees (the distributions built on it may change between versions), and pixels are
computed element by element with + - * /, which IEEE 754 defines to the last bit; functions that
differ between libraries (sin, exp, sums in an order of the library's choice) are not used.

A crack is a thin, dark, meandering, branching line. So that nothing simpler shows which class a
picture is of, light and texture vary more between pictures than a crack changes them, and both
classes have pores as dark as a crack, stains, and straight scratches as long and thin as one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from harness.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLASSES = ("intact", "cracked")
# Hard enough that a network trained on these few images alone is far less accurate than one with
# pretrained weights.
DEFAULT_DIFFICULTY = 0.8
# For pictures that nothing is trained on: they calibrate untrained networks and are the inputs of
# timed launches. Committed instruction counts were made with these.
PLAIN_DIFFICULTY = 0.4
DEFAULT_SIZE = 256

# Part of every fingerprint of demo data: raise it whenever `generate` gives other bytes than
# before, so also when a default changes.
VERSION = 3


def generate(
    count: int, *, seed: int = 0, difficulty: float = DEFAULT_DIFFICULTY, size: int = DEFAULT_SIZE
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` pictures, uint8 (count, size, size), and their labels, uint8 (count,): index into
    CLASSES. Picture i does not depend on `count`, and of each pair (2k, 2k + 1) one is cracked.

    `difficulty` goes from 0 (bold, long cracks on a clean surface) to 1 (faint, short ones among
    many pores and dark scratches); the labels do not depend on it.
    Raises UsageError for arguments out of range.
    """
    import numpy as np

    if count < 0 or seed < 0 or size < 32 or not 0 <= difficulty <= 1:
        raise UsageError(
            f"no demo images for count {count}, seed {seed}, difficulty {difficulty}, size {size}",
            "count and seed are at least 0, difficulty 0 to 1, size at least 32",
        )
    images = np.empty((count, size, size), np.uint8)
    for index in range(count):
        images[index] = generate_one(index, seed=seed, difficulty=difficulty, size=size)
    return images, labels(count, seed=seed)


def generate_one(
    index: int, *, seed: int = 0, difficulty: float = DEFAULT_DIFFICULTY, size: int = DEFAULT_SIZE
) -> NDArray[np.uint8]:
    """Picture `index` of `generate`, uint8 (size, size)."""
    return _picture(_Stream(seed, index), bool(_label(seed, index)), difficulty, size)


def labels(count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """The labels of `generate`, uint8 (count,), without the pictures."""
    import numpy as np

    return np.array([_label(seed, index) for index in range(count)], np.uint8)


class _Stream:
    """Uniform numbers that depend on the key alone."""

    def __init__(self, *key: int) -> None:
        from numpy.random import PCG64, SeedSequence

        self._bits = PCG64(SeedSequence(key))

    def array(self, *shape: int) -> Floats:
        """Uniform in [0, 1): the upper 53 bits of each raw word, exact in float64."""
        import numpy as np

        count = 1
        for extent in shape:
            count *= extent
        raw = self._bits.random_raw(count) >> np.uint64(11)
        return raw.astype(np.float64).reshape(shape) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.array(1)[0])

    def below(self, bound: int) -> int:
        return int(self.uniform(0, bound))


def _label(seed: int, index: int) -> int:
    return _Stream(seed, index // 2, 1).below(2) ^ (index & 1)


def _picture(stream: _Stream, cracked: bool, difficulty: float, size: int) -> NDArray[np.uint8]:
    import numpy as np

    surface = _surface(stream, size)
    dark = np.zeros((size, size))
    _pores(dark, stream, difficulty)
    bright = np.zeros((size, size))
    for _ in range(stream.below(4)):
        _scratch(bright if stream.uniform(0, 1) < 0.6 else dark, stream, difficulty)
    if cracked:
        _crack(dark, stream, difficulty)
    surface *= 1.0 - dark
    surface += 70.0 * bright
    surface += 14.0 * (stream.array(size, size) - 0.5)
    np.clip(surface, 0.0, 255.0, out=surface)
    surface += 0.5
    return surface.astype(np.uint8)


def _surface(stream: _Stream, size: int) -> Floats:
    """Uneven light on a mottled, stained surface; grey values, about 40 to 220.

    Computed with rows and columns exchanged, because `_noise` gives its pictures so.
    """
    import numpy as np

    ramp = np.arange(size) / size - 0.5
    light = stream.uniform(85.0, 185.0) + stream.uniform(-45.0, 45.0) * ramp
    surface: Floats = light + stream.uniform(-45.0, 45.0) * ramp[:, None]
    coarseness = stream.uniform(0.5, 1.5)
    for cells, amplitude in ((3, 26.0), (9, 14.0), (23, 10.0), (61, 14.0), (127, 20.0)):
        strength = amplitude if cells < 10 else amplitude * coarseness
        surface += strength * (_noise(stream, cells, size) - 0.5)
    for _ in range(stream.below(3)):
        stain = _noise(stream, 4, size) + 0.3 * _noise(stream, 19, size)
        stain += 0.3 * _noise(stream, 83, size) - 1.0
        surface *= 1.0 - stream.uniform(0.1, 0.35) * np.clip(2.5 * stain, 0.0, 1.0)
    return np.ascontiguousarray(surface.T)


def _noise(stream: _Stream, cells: int, size: int) -> Floats:
    """Value noise in [0, 1), (size, size), first the column, then the row: random values on a
    lattice, smoothly interpolated. Whole rows of memory are copied, which is faster than
    picking single numbers."""
    import numpy as np

    lattice = stream.array(cells + 2, cells + 2)
    cell, weight = _interpolation(cells, size)
    rows = lattice[cell]
    rows += weight[:, None] * (lattice[cell + 1] - rows)
    turned = np.ascontiguousarray(rows.T)
    columns = turned[cell]
    step = turned[cell + 1]
    step -= columns
    step *= weight[:, None]
    columns += step
    return columns


@lru_cache(maxsize=32)
def _interpolation(cells: int, size: int) -> tuple[NDArray[np.intp], Floats]:
    """For each of `size` positions: the lattice cell that it lies in, and how far into it."""
    import numpy as np

    place = np.arange(size) * cells
    part = (place % size) / size
    return place // size, part * part * (3.0 - 2.0 * part)


def _pores(dark: Floats, stream: _Stream, difficulty: float) -> None:
    """Air holes: many small ones, few large, some as dark as the darkest crack."""
    size = len(dark)
    count = 8 + stream.below(20 + int(60 * difficulty))
    place = stream.array(2, count) * size
    spread = stream.array(2, count)
    radius = 0.8 + 2.7 * spread[0] * spread[0] * spread[0]
    _stamp(dark, place[0], place[1], radius, 0.15 + 0.7 * spread[1])


def _scratch(canvas: Floats, stream: _Stream, difficulty: float) -> None:
    """A straight line of even width: what a crack never is."""
    import numpy as np

    size = len(canvas)
    start = stream.array(2) * size
    way = (stream.array(2) - 0.5) * size * stream.uniform(0.3, 1.4)
    along = np.arange(2 * size) / (2 * size)
    radius = np.full(2 * size, stream.uniform(0.8, 1.2))
    depth = np.full(2 * size, stream.uniform(0.1, 0.2) + 0.15 * difficulty)
    _stamp(canvas, start[0] + way[0] * along, start[1] + way[1] * along, radius, depth)


def _crack(dark: Floats, stream: _Stream, difficulty: float) -> None:
    """A main line across a good part of the picture, and up to three branches."""
    size = len(dark)
    middle = [float(part) for part in (0.25 + 0.5 * stream.array(2)) * size]
    # A direction without trigonometry: uniform on the border of a square, then normalised.
    side, place = stream.below(4), stream.uniform(-1.0, 1.0)
    y, x = ((place, 1.0), (place, -1.0), (1.0, place), (-1.0, place))[side]
    length = size * stream.uniform(0.75 - 0.35 * difficulty, 1.3 - 0.5 * difficulty)
    reach = 0.5 * length / (y * y + x * x) ** 0.5
    radius = stream.uniform(1.3, 2.4) - 0.55 * difficulty
    depth = stream.uniform(0.55, 0.8) - 0.3 * difficulty
    start = (middle[0] - y * reach, middle[1] - x * reach)
    end = (middle[0] + y * reach, middle[1] + x * reach)
    path = _meander(stream, start, end)
    _line(dark, stream, path, radius, depth)
    for _ in range(stream.below(4)):
        fork = 10 + stream.below(path.shape[1] - 20)
        away = (stream.array(2) - 0.5) * length * 0.7
        root = (float(path[0, fork]), float(path[1, fork]))
        branch = _meander(stream, root, (root[0] + float(away[0]), root[1] + float(away[1])))
        _line(dark, stream, branch, radius * 0.75, depth * 0.85)


def _meander(stream: _Stream, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """(2, 129) points from `start` to `end` by midpoint displacement: each stretch is broken in
    two at a point beside its middle, off by a share of its length, seven times over."""
    import numpy as np

    path = np.array([[start[0], end[0]], [start[1], end[1]]], np.float64)
    for _ in range(7):
        stretch = path[:, 1:] - path[:, :-1]
        shift = 0.6 * (stream.array(stretch.shape[1]) - 0.5)
        finer = np.empty((2, 2 * path.shape[1] - 1))
        finer[:, ::2] = path
        finer[:, 1::2] = path[:, :-1] + 0.5 * stretch + shift * stretch[::-1] * [[1.0], [-1.0]]
        path = finer
    return path


def _line(dark: Floats, stream: _Stream, path: Floats, radius: float, depth: float) -> None:
    """Draw a path; its width and depth wander along it, and it thins out towards its end."""
    import numpy as np

    stretches = path.shape[1] - 1
    parts = max(2, len(dark) // 48)  # points at most about a pixel apart
    part = np.arange(parts) / parts
    points = path[:, :-1, None] + (path[:, 1:] - path[:, :-1])[:, :, None] * part
    cell, weight = _interpolation(12, stretches * parts)
    knots = stream.array(2, 14)
    wander = knots[:, cell] + weight * (knots[:, cell + 1] - knots[:, cell])
    taper = 1.0 - 0.5 * np.arange(stretches * parts) / (stretches * parts)
    _stamp(
        dark,
        points[0].ravel(),
        points[1].ravel(),
        0.6 + (radius - 0.6) * (0.5 + wander[0]) * taper,
        depth * (0.5 + wander[1]) * taper,
    )


def _stamp(canvas: Floats, y: Floats, x: Floats, radius: Floats, depth: Floats) -> None:
    """Press round dents into `canvas` where they are deeper than what is there: `depth` at the
    centre (y, x), 0 at `radius` pixels from it and, in between, a parabola."""
    import numpy as np

    size = len(canvas)
    reach = int(radius.max()) + 1
    window = np.arange(-reach, reach + 1)
    rows = np.floor(y).astype(np.int64)[:, None] + window
    columns = np.floor(x).astype(np.int64)[:, None] + window
    above = (rows - y[:, None]) * (rows - y[:, None])
    aside = (columns - x[:, None]) * (columns - x[:, None])
    dent = above[:, :, None] + aside[:, None, :]
    dent /= (radius * radius)[:, None, None]
    np.subtract(1.0, dent, out=dent)
    dent *= depth[:, None, None]
    inside = dent > 0.0
    inside &= ((rows >= 0) & (rows < size))[:, :, None]
    inside &= ((columns >= 0) & (columns < size))[:, None, :]
    place = (rows * size)[:, :, None] + columns[:, None, :]
    np.maximum.at(canvas.reshape(-1), place[inside], dent[inside])
