"""Figures of matplotlib as SVG that can live inside a page: themed by the page's CSS variables,
with text as text, tooltips as data, and ids that do not clash with those of the next figure.

A figure is drawn with a `Theme`. `PAGE` is a theme of placeholder colours, each of which becomes
a CSS variable; `PAPER` has real colours, for files that stand alone.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.renderers.optional import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


class Theme(NamedTuple):
    """Colours by their part in a chart. `series` tells variants apart, for any kind of colour
    vision (tests/unit/renderers/test_colours.py); `scale` runs from little to much."""

    ink: str
    muted: str
    grid: str
    surface: str
    pale: str
    good: str
    doubt: str
    bad: str
    series: tuple[str, ...]
    scale: tuple[str, ...]


# cividis in seven steps, which reads the same for all kinds of colour vision.
_SCALE = ("#00204d", "#2b446e", "#575d6d", "#7c7b78", "#a59c74", "#d3c164", "#ffea46")

PAPER = Theme(
    ink="#1c2430",
    muted="#5a6473",
    grid="#dfe3e8",
    surface="#ffffff",
    pale="#a9cfec",
    good="#0b62a4",
    doubt="#8f5600",
    bad="#a21526",
    series=(
        "#225dbc",
        "#e57310",
        "#087e51",
        "#b8578c",
        "#816200",
        "#3d8fd1",
        "#535254",
        "#6c3286",
    ),
    scale=_SCALE,
)

PAGE = Theme(
    ink="#010100",
    muted="#010101",
    grid="#010102",
    surface="#010103",
    pale="#010107",
    good="#010104",
    doubt="#010105",
    bad="#010106",
    series=tuple(f"#01020{i}" for i in range(8)),
    scale=_SCALE,
)

_VARIABLES = {
    PAGE.ink: "var(--ink)",
    PAGE.muted: "var(--muted)",
    PAGE.grid: "var(--grid)",
    PAGE.surface: "var(--surface)",
    PAGE.pale: "var(--pale)",
    PAGE.good: "var(--good)",
    PAGE.doubt: "var(--doubt)",
    PAGE.bad: "var(--bad)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(PAGE.series)},
}

# One shape per series as well: a colour is never the only difference.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")


class Drawing(NamedTuple):
    """A figure, and the tooltips of its parts: the id given to an artist -> one text, or one per
    point of a collection."""

    figure: Figure
    tips: Mapping[str, str | Sequence[str]] = {}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """The settings under which figures are made and saved."""
    matplotlib = require("matplotlib")
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "mobile-bench-harness",
        "text.parse_math": False,  # a `$` in a name is a `$`
        "font.size": 13,  # CSS pixels: figures are shown at their own size
        "axes.linewidth": 0.8,
        "axes.unicode_minus": False,
        "path.simplify": False,
        "hatch.linewidth": 1.2,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The browser has the glyphs that the font of this machine lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def axes(
    theme: Theme, size: tuple[int, int], margins: tuple[int, int, int, int]
) -> tuple[Figure, Axes]:
    """An empty chart of `size` (width, height) with margins (left, right, top, bottom), all in
    CSS pixels: no frame but a base line, quiet ticks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size
    left, right, top, bottom = margins
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    box = (
        left / width,
        bottom / height,
        (width - left - right) / width,
        (height - top - bottom) / height,
    )
    ax = figure.add_axes(box)
    ax.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(theme.grid)
    ax.tick_params(colors=theme.muted, length=0, pad=6, which="both")
    ax.set_axisbelow(True)
    return figure, ax


def to_svg(drawn: Drawing, key: str, *, label: str) -> str:
    """The figure as an <svg> element for a page. `key` is unique in the page; `label` is what a
    screen reader says for the whole figure."""
    out = io.StringIO()
    drawn.figure.savefig(out, format="svg", metadata={"Date": None})
    root = ET.fromstring(out.getvalue())  # noqa: S314
    for tag in ("metadata", "defs"):
        for child in root.findall(f"{_SVG}{tag}"):
            if tag == "metadata" or child.find(f"{_SVG}style") is not None:
                root.remove(child)
    _round(root)
    _add_tips(root, drawn.tips)
    _own_ids(root, key)
    width, height = root.get("viewBox", "0 0 1 1").split()[2:]
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("style", f"max-width:{1.15 * float(width):.0f}px;aspect-ratio:{width}/{height}")
    ET.register_namespace("", _SVG.strip("{}"))
    ET.register_namespace("xlink", _HREF.partition("}")[0].strip("{"))
    text = ET.tostring(root, encoding="unicode")
    return _shorter(text)


def _round(root: ET.Element) -> None:
    """A tenth of a pixel is enough for coordinates, and half the bytes."""
    for element in root.iter():
        for attribute in ("d", "x", "y", "transform"):
            if attribute in element.attrib:
                value = re.sub(r"(\d+\.\d)\d+", r"\1", element.attrib[attribute])
                element.set(attribute, value.replace("\n", ""))


def _add_tips(root: ET.Element, tips: Mapping[str, str | Sequence[str]]) -> None:
    by_id = {element.get("id"): element for element in root.iter()}
    for name, tip in tips.items():
        group = by_id.get(name)
        if group is None:
            continue
        if isinstance(tip, str):
            group.set("data-tip", tip)
            continue
        points = [e for e in group.iter() if e.tag in (f"{_SVG}use", f"{_SVG}path")]
        defined = {e for d in group.iter(f"{_SVG}defs") for e in d.iter()}
        for point, text in zip((p for p in points if p not in defined), tip, strict=False):
            point.set("data-tip", text)


def _own_ids(root: ET.Element, key: str) -> None:
    """Drop ids that nothing refers to, and make the others the figure's own."""
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r"url\(#([\w.-]+)\)", text)) | set(re.findall(r'href="#([\w.-]+)"', text))
    for element in root.iter():
        own = element.get("id")
        if own is not None:
            if own in used:
                element.set("id", f"{key}-{own}")
            else:
                del element.attrib["id"]
        for attribute, value in element.attrib.items():
            if attribute == _HREF:
                element.set(attribute, f"#{key}-{value[1:]}")
            elif "url(#" in value:
                element.set(attribute, value.replace("url(#", f"url(#{key}-"))


def _shorter(text: str) -> str:
    text = re.sub(r"font-family: [^;\"]*(?:; )?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = text.replace("> <", "><")
    return re.sub("|".join(_VARIABLES), lambda m: _VARIABLES[m[0]], text)


def to_file(drawn: Drawing, kind: Literal["svg", "png"], *, title: str) -> bytes:
    """The figure as a file of its own, the title above it."""
    out = io.BytesIO()
    drawn.figure.patch.set_alpha(1)
    drawn.figure.patch.set_facecolor(PAPER.surface)
    drawn.figure.suptitle(title, x=0.02, y=1.04, ha="left", va="bottom", color=PAPER.ink)
    if kind == "svg":
        drawn.figure.savefig(out, format="svg", metadata={"Date": None}, bbox_inches="tight")
    else:
        nameless = {"Software": ""}
        drawn.figure.savefig(out, format="png", dpi=144, metadata=nameless, bbox_inches="tight")
    return out.getvalue()
