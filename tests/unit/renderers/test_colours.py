"""Colours that have to be told apart are, by every kind of colour vision, in both themes."""

from __future__ import annotations

import itertools
import math
import re

import pytest

from harness.renderers import html_page as pages
from harness.renderers.svg import PAPER

Matrix = tuple[tuple[float, float, float], ...]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISIONS: dict[str, Matrix] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
SERIES = [f"series-{i}" for i in range(8)]
STATUS = ["good", "doubt", "bad"]


def theme(name: str) -> dict[str, str]:
    style = pages._style()
    text = style.partition("}")[0] if name == "light" else pages._DARK
    return dict(re.findall(r"--([\w-]+): (#\w{6})", text))


def linear(colour: str) -> list[float]:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def lab(colour: str, vision: Matrix) -> tuple[float, float, float]:
    """CIE 1976 L*a*b* under D65 of how the colour is seen."""
    rgb = linear(colour)
    r, g, b = (
        min(1.0, max(0.0, sum(a * c for a, c in zip(row, rgb, strict=True)))) for row in vision
    )
    xyz = (
        (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047,
        0.2126729 * r + 0.7151522 * g + 0.0721750 * b,
        (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883,
    )
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(a: str, b: str) -> float:
    """WCAG's."""
    bright = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (a, b))]
    return (max(bright) + 0.05) / (min(bright) + 0.05)


@pytest.mark.parametrize("names", [SERIES, STATUS], ids=["series", "status"])
@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_no_two_look_alike(name: str, vision: str, names: list[str]) -> None:
    """A difference of 15 is seen at a glance; about 2 is the least that is seen at all."""
    colours = theme(name)
    seen = {n: lab(colours[n], VISIONS[vision]) for n in names}
    alike = [
        (a, b, round(math.dist(seen[a], seen[b]), 1))
        for a, b in itertools.combinations(names, 2)
        if math.dist(seen[a], seen[b]) < 15
    ]
    assert alike == []


@pytest.mark.parametrize("name", ["light", "dark"])
def test_they_stand_out_from_what_is_behind_them(name: str) -> None:
    colours = theme(name)
    for series in SERIES:
        assert contrast(colours[series], colours["surface"]) >= 3, series
    for status in STATUS:
        for behind in ("surface", f"{status}-soft"):
            assert contrast(colours[status], colours[behind]) >= 4.5, (status, behind)


def test_files_have_the_colours_of_the_light_page() -> None:
    colours = theme("light")
    assert PAPER.series == tuple(colours[n] for n in SERIES)
    assert (PAPER.good, PAPER.doubt, PAPER.bad) == tuple(colours[n] for n in STATUS)
