"""Files damaged in many ways, each by a seed: what tests/unit/test_fuzz.py and benchmarks/fuzz.py
give to the harness."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.paths import DATA

# Whole files, small ones first.
MODELS = sorted((DATA / "models").glob("*.tflite"), key=lambda path: path.stat().st_size)

_EXTREMES = (0, 1, -1, 127, -128, 2**15, 2**31 - 1, -(2**31), 2**30, 0x7FFFFFF0)

Damage = Callable[[bytes, random.Random], bytes]


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Up to 16 bytes are changed."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def grown(data: bytes, rng: random.Random) -> bytes:
    """Bytes are put in somewhere."""
    place = rng.randrange(len(data) + 1)
    more = rng.randbytes(rng.choice((1, 4, 64, 4096)))
    return data[:place] + more + data[place:]


def overwritten(data: bytes, rng: random.Random) -> bytes:
    """Up to four numbers of 32 bits are extreme ones: lengths, offsets, indices, shapes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(0, max(4, len(changed) - 4), 4)
        struct.pack_into("<i", changed, min(place, len(changed) - 4), rng.choice(_EXTREMES))
    return bytes(changed)


def mixed_up(data: bytes, rng: random.Random) -> bytes:
    """A well-formed file whose indices, shapes, types or constants do not fit one another."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = rng.choice(model.subgraphs)
    tensor = rng.choice(graph.tensors)
    operator = rng.choice(graph.operators) if graph.operators else None
    index = rng.choice((-2, -1, 0, len(graph.tensors), 2**31 - 1, rng.randrange(50)))
    size = rng.choice((-1, 0, 1, 3, 2**16, 2**31 - 1))
    changes: list[Callable[[], Any]] = [
        lambda: setattr(tensor, "buffer", max(0, index)),
        lambda: setattr(tensor, "shape", [size] * rng.randrange(6)),
        lambda: setattr(tensor, "type", rng.randrange(20)),
        lambda: setattr(graph, "inputs", [index]),
        lambda: setattr(graph, "outputs", [index]),
        lambda: setattr(rng.choice(model.buffers), "data", rng.randbytes(rng.randrange(100))),
    ]
    if operator is not None:
        changes += [
            lambda: setattr(operator, "inputs", [index] * rng.randrange(5)),
            lambda: setattr(operator, "outputs", [index]),
            lambda: setattr(operator, "opcodeIndex", max(0, index)),
        ]
    for _ in range(rng.choice((1, 1, 2))):
        rng.choice(changes)()
    builder = Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


DAMAGES: tuple[Damage, ...] = (flipped, cut, grown, overwritten, mixed_up)


def model(seed: int) -> tuple[str, bytes]:
    """(what was done to which file, its bytes): always the same for the same seed."""
    rng = random.Random(seed)
    damage, source = rng.choice(DAMAGES), rng.choice(MODELS)
    return f"{damage.__name__} {source.stem}", damage(source.read_bytes(), rng)


ENDINGS = (".png", ".jpg", ".bmp", ".tif", ".gif", ".webp", ".pgm")
_ODD_NAMES = ("-rf", "a\nb", "\x1b[31m", "name with blanks", "é", "é", "con", "x" * 200, "%s{}")


def pictures(folder: Path, seed: int) -> None:
    """Two classes of 15 pictures of all kinds, and among them up to five damaged ones, odd names,
    folders and links; always the same for the same seed."""
    import numpy as np
    from PIL import Image

    rng = random.Random(seed)
    pixels = np.random.default_rng(seed)
    for label in ("one", "two"):
        (folder / label).mkdir(parents=True)
        for number in range(15):
            size = (rng.randrange(8, 40), rng.randrange(8, 40))
            picture = Image.fromarray(pixels.integers(0, 256, (*size, 3), dtype=np.uint8))
            picture.save(folder / label / f"{number}{rng.choice(ENDINGS[:-1])}")
    whole = sorted(folder.glob("*/*"))
    for number in range(rng.randrange(1, 6)):
        source, label = rng.choice(whole), rng.choice(("one", "two"))
        name = rng.choice((*_ODD_NAMES, str(100 + number)))
        target = folder / label / f"{name}{rng.choice((source.suffix, *ENDINGS))}"
        if target.exists():
            continue
        kind = rng.randrange(8)
        if kind == 0:
            target.mkdir()
        elif kind == 1:
            target.symlink_to(rng.choice(("nowhere", source.name, "..", "/dev/zero")))
        elif kind == 2:
            shutil.copy(source, target)
        else:
            damage = rng.choice((flipped, cut, grown, overwritten))
            target.write_bytes(damage(source.read_bytes(), rng))
