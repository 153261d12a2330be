"""The charts as the templates show them, and the numbers they are drawn from."""

from __future__ import annotations

from typing import Any

from harness.core import units
from harness.core.types import Launch
from harness.renderers import charts, svg
from harness.renderers.cases import Row
from harness.renderers.optional import require
from harness.renderers.view import View
from harness.stats.summaries import launch_median

# Section -> its name in the bar, its title, and the text above it.
_GROUPS = {
    "baseline": ("Baseline", "Against the baseline", ""),
    "overview": ("Overview", "Overview", ""),
    "distributions": (
        "Latency",
        "Latency by launch",
        "Each launch is a fresh process: the dot is its median, the thick line its middle half, "
        "the thin one 5 % to 95 % of its iterations. The band is the interval of the case's "
        "latency. A ring marks an outlier by Tukey's fences, which counts like every other launch.",
    ),
    "confusion": (
        "Confusion",
        "Confusion",
        "Rows are the class of the image, columns the class that the model chose.",
    ),
    "sustained": (
        "Minutes",
        "Minute by minute",
        "The median latency of each minute; a square where the device said that it throttles.",
    ),
    "ops": ("Operators", "Most expensive operators", "Mean time per inference by the profiler."),
    "layers": ("Layers", "Largest layers", "Bytes of the constants that each operator owns."),
}

# Sections of small charts, many in a row.
_PANELS = ("distributions", "confusion", "sustained", "ops", "layers")


def draw(found: list[charts.Chart]) -> list[dict[str, Any]]:
    """The charts of one group as the templates show them. A page can hold each key once."""
    with svg.drawing():
        return [_shown(chart, width) for chart, width in _places(found)]


def _places(found: list[charts.Chart]) -> list[tuple[charts.Chart, int]]:
    """How wide each chart is: they stand in two columns, a tall one as high as two others; the
    last one takes both columns if it would stand alone."""
    if not found or found[0].group in _PANELS:
        return [(chart, charts.NARROW) for chart in found]
    beside = sum(not c.tall for c in found)
    found = [c if beside > 1 else c._replace(tall=False) for c in found]
    alone = sum(1 + c.tall for c in found) % 2 or found[0].group == "baseline"
    last = len(found) - 1
    return [(c, charts.FULL if alone and i == last else charts.HALF) for i, c in enumerate(found)]


def _shown(chart: charts.Chart, width: int) -> dict[str, Any]:
    """The chart for a wide screen and, where that is not narrow itself, for a phone; `numbers` is
    what its marks say."""
    markup = require("markupsafe").Markup
    drawn = chart.draw(svg.PAGE, width)
    plots = {"panel" if width == charts.NARROW else "wide": (drawn, chart.key)}
    if width != charts.NARROW:
        plots["narrow"] = (chart.draw(svg.PAGE, charts.NARROW), f"{chart.key}-n")
    texts = [t for tip in drawn.tips.values() for t in ([tip] if isinstance(tip, str) else tip)]
    return {
        "title": chart.title,
        "caption": chart.caption,
        "group": chart.group,
        "shape": "tall" if chart.tall else "full" if width == charts.FULL else "",
        "numbers": [] if chart.told else list(dict.fromkeys(texts)),
        "plots": [
            (name, markup(svg.to_svg(figure, key, label=chart.alt)))
            for name, (figure, key) in plots.items()
        ],
    }


def groups_of(view: View, rows: list[Row]) -> list[dict[str, Any]]:
    """The charts by their sections, in reading order."""
    found: dict[str, list[charts.Chart]] = {}
    for chart in charts.charts_of(view):
        found.setdefault(chart.group, []).append(chart)
    groups = []
    for key, made in found.items():
        name, title, lead = _GROUPS[key]
        note = next((c.note for c in made if c.note), "")
        groups.append(
            {
                "key": key,
                "name": name,
                "title": title,
                "layout": "panels" if key in _PANELS else "charts",
                "lead": " ".join(p for p in (lead, note) if p),
                "charts": draw(made),
                "tables": _tables(view, rows, key),
            }
        )
    return groups


def _tables(view: View, rows: list[Row], group: str) -> list[dict[str, Any]]:
    if group == "distributions":
        return [_launches(view, rows)]
    return _agreements(view) if group == "confusion" else []


def _agreements(view: View) -> list[dict[str, Any]]:
    """How much the answers of artifacts agree with those of their float parents."""
    lines = [
        (
            units.name(e.variant),
            units.name(a.parent),
            f"{a.equal} of {a.n}",
            units.significant(a.largest, 2),
            units.significant(a.mean, 2),
        )
        for e in view.report.evaluations
        if (a := e.agreement) is not None
    ]
    heads = ("variant", "parent", "same decision", "largest difference", "mean difference")
    title = "Agreement with the float parent"
    return [{"title": title, "heads": heads, "lines": lines, "note": ""}] if lines else []


def _iterations(launch: Launch) -> str:
    if launch.latency_ns:
        return str(len(launch.latency_ns))
    return units.ABSENT if launch.latency_summary is None else str(launch.latency_summary.count)


def _launches(view: View, rows: list[Row]) -> dict[str, Any]:
    """The same as a table, for readers who cannot see the charts."""
    labels = view.labels
    outlying = {(i, x.launch): x.label for i, noise in view.noise.items() for x in noise.outliers}
    lines = [
        (
            labels[row.case.case.id],
            str(launch.index + 1),
            str(launch.order + 1),
            units.duration(launch_median(launch)),
            _iterations(launch),
            units.duration(launch.init_ns),
            units.memory(launch.peak_rss_bytes),
            outlying.get((row.case.case.id, launch.index), ""),
        )
        for row in rows[: charts.MOST_CASES]
        for launch in row.case.launches
        if launch_median(launch)
    ]
    heads = ("case", "launch", "order", "median", "iterations", "init", "peak RSS", "outlier")
    note = charts.not_shown(len(rows), charts.MOST_CASES, "--csv has all")
    return {"title": "The numbers", "heads": heads, "lines": lines, "note": note}
