"""Pictures that were saved again: re-encoded, or resized and back. Their pixels differ but they
show the same, so one of them in training gives away the answer to the other in the test.

Each picture has a small likeness: 16 by 16 grey values, normalized to the same mean and contrast.
What all pictures of a data set have in common, such as a frame or a scale, is subtracted as well.
Pictures whose likenesses nearly agree are then compared at 32 by 32, in colour where they have it,
with their light and contrast. The bounds were found by experiment. Of 60 demo images, whose texture
JPEG changes much, they find all copies at quality 50 or at a quarter of the size, and 58 at quality
20. False pairs: none among 150 demo images and 200 faces, and 2 each among 5,000 digits of MNIST
and 1,797 digits of 8 by 8 pixels, which nearly agree. The only effect of a false pair is that both
pictures stay on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.decode import Picture

SMALL, LARGER = 16, 32
# The least correlation of two likenesses, and of the pictures at 32 by 32.
LIKENESS, ALIKE = 0.96, 0.985
# Light and contrast of a copy, as a share of the larger contrast.
NEAR = 0.1
# Below this contrast (grey values of 255) there is only the noise of the encoder to compare.
LEAST_CONTRAST = 2.0
_BLOCK, _SAMPLE = 512, 64
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue, as ITU-R 601 weighs them


def likeness(picture: Picture) -> bytes:
    """256 numbers of eight bits; all 0 for a picture without contrast."""
    import numpy as np

    small = _small(picture.array())
    small -= small.mean()
    largest = float(np.abs(small).max())
    if not largest:
        return bytes(SMALL * SMALL)
    return bytes(np.rint(small * (127 / largest)).astype(np.int8).tobytes())


def pairs(
    looks: Sequence[bytes], seen: Callable[[int], NDArray[np.float32]]
) -> Iterator[tuple[int, int]]:
    """(i, j) of pictures that are copies of one another, i < j. `looks` are their likenesses;
    `seen(i)` is picture i as `comparable` makes it, called only where likenesses agree."""
    import numpy as np

    every = np.frombuffer(b"".join(looks), np.int8).reshape(len(looks), SMALL * SMALL)
    common = every.mean(axis=0, dtype=np.float32) if len(looks) else np.zeros(1, np.float32)
    norms = np.concatenate(
        [_norms(every[i : i + _BLOCK] - common) for i in range(0, len(looks), _BLOCK)] or [common]
    )
    chosen = np.flatnonzero(norms)
    usual: list[NDArray[np.float32]] = []
    kept: dict[int, NDArray[np.float32]] = {}

    def shown(index: int) -> NDArray[np.float32]:
        if index not in kept:
            if len(kept) > _BLOCK:
                kept.clear()
            kept[index] = seen(index)
        return kept[index]

    def rows(indices: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray((every[indices] - common) / norms[indices, None], np.float32)

    def same(i: int, j: int) -> bool:
        if not usual:
            sample = np.linspace(0, len(looks) - 1, min(len(looks), _SAMPLE)).astype(int)
            usual.append(np.mean([seen(int(index)) for index in sample], axis=0))
        return _same(shown(i), shown(j), usual[0])

    for start in range(0, len(chosen), _BLOCK):
        ours = chosen[start : start + _BLOCK]
        mine = rows(ours)
        for other in range(start, len(chosen), _BLOCK):
            theirs = chosen[other : other + _BLOCK]
            for a, b in np.argwhere(mine @ rows(theirs).T > LIKENESS).tolist():
                i, j = int(ours[a]), int(theirs[b])
                if i < j and same(i, j):
                    yield i, j


def comparable(picture: NDArray[Any]) -> NDArray[np.float32]:
    """A picture of eight bits, grey or colour, at 32 by 32: (32, 32, 3)."""
    import numpy as np

    colours = picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=2)
    return np.stack([_shrunk(colours[..., c], LARGER) for c in range(3)], axis=-1)


def _norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(np.sqrt((rows**2).sum(axis=1)))


def _same(one: NDArray[np.float32], other: NDArray[np.float32], usual: NDArray[np.float32]) -> bool:
    """Whether two pictures agree in light, contrast, and in what remains after `usual` is
    subtracted."""
    contrasts = float(one.std()), float(other.std())
    near = NEAR * max(contrasts)
    if abs(float(one.mean() - other.mean())) > near or abs(contrasts[0] - contrasts[1]) > near:
        return False
    mine, theirs = one - usual, other - usual
    mine, theirs = mine - mine.mean(), theirs - theirs.mean()
    own = float(mine.std()), float(theirs.std())
    if min(own) < LEAST_CONTRAST:
        return False
    return float((mine * theirs).mean()) / (own[0] * own[1]) > ALIKE


def _small(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The grey values of a picture at 16 by 16. Colours are weighed after they are shrunk, which
    takes an eighth of the time."""
    import numpy as np

    if pixels.ndim == 2:
        return _shrunk(pixels, SMALL)
    step = pixels.shape[0] // SMALL
    rows = pixels.reshape(SMALL, step, -1).sum(axis=1, dtype=np.uint16)
    sums = rows.reshape(SMALL, SMALL, step, 3).sum(axis=2, dtype=np.uint32)
    return np.asarray(sums @ np.array(_GREY, np.float32) / np.float32(step**2), np.float32)


def _shrunk(pixels: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Means of blocks, (size, size)."""
    import numpy as np

    step = pixels.shape[0] // size
    if pixels.dtype.kind == "f":
        blocks = pixels.reshape(size, step, size, step)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))
    # The same for whole numbers, whose sums are exact, in a third of the time: rows first.
    narrow = np.uint16 if pixels.dtype == np.uint8 else np.uint32
    rows = pixels.reshape(size, step, -1).sum(axis=1, dtype=narrow)
    sums = rows.reshape(size, size, step).sum(axis=2, dtype=np.uint32)
    return np.asarray(sums.astype(np.float32) / np.float32(step**2))


def groups(count: int, found: Iterator[tuple[int, int]]) -> list[int]:
    """For each of `count` pictures the first one of its group; a picture without copies is its own
    group."""
    first = list(range(count))

    def leader(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    for i, j in found:
        one, other = sorted((leader(i), leader(j)))
        first[other] = one
    return [leader(index) for index in range(count)]
