"""Folders of pictures with lines that lie, stand or cross, which a small network learns."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw


def picture(kind: str, number: int, mode: str = "L") -> Image.Image:
    """Lines that lie, stand or cross, different in each picture; in colour each picture has another
    size."""
    pick = random.Random(f"{kind} {number}")
    size = (64, 64) if mode == "L" else (pick.randrange(40, 200), pick.randrange(40, 200))
    low = tuple(pick.randrange(20, 80) for _ in mode)
    high = tuple(pick.randrange(170, 250) for _ in mode)
    image = Image.new(mode, size, low if len(low) > 1 else low[0])
    draw = ImageDraw.Draw(image)
    fill = high if len(high) > 1 else high[0]
    step = pick.randrange(8, 14)
    for at in range(pick.randrange(8), 64, step):
        x, y = at * size[0] // 64, at * size[1] // 64
        if kind != "standing":
            draw.line((0, y, size[0], y), fill, width=max(2, size[1] // 16))
        if kind != "lying":
            draw.line((x, 0, x, size[1]), fill, width=max(2, size[0] // 16))
    return image


def folder(root: Path, counts: dict[str, int], mode: str = "L") -> Path:
    """One folder per class; in colour every format in turn."""
    suffixes = ("png",) if mode == "L" else ("png", "jpg", "jpeg", "bmp", "webp")
    for kind, count in counts.items():
        (root / kind).mkdir(parents=True)
        for i in range(count):
            path = root / kind / f"{i:03}.{suffixes[i % len(suffixes)]}"
            picture(kind, i, mode).save(path)
    return root
