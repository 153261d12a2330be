"""The board of a history: a row per variant, a column per device and setting, and in each cell the
newest value with its course and its last change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from harness.analysis.metric_specs import shown
from harness.core import units
from harness.core.text import count
from harness.renderers import metrics
from harness.renderers.charts.trends import ratio_text, value_text
from harness.stats.trend import Trend

_COURSE = 40  # runs that the line in a cell shows
_WIDTH, _HEIGHT, _MARGIN = 96, 24, 3  # of that line, CSS pixels


class Column(NamedTuple):
    """Where something was measured. `machine` distinguishes machines of one name, else it is ''."""

    device: str
    setting: str
    machine: str


def board(trends: Sequence[Trend], anchors: Mapping[int, str]) -> dict[str, Any]:
    """The heads and lines of the table. `anchors` are the ids of the charts of those trends, by
    their index, that are drawn on the page."""
    alike: dict[tuple[str, str], set[str]] = {}
    for found in trends:
        alike.setdefault((found.device, found.setting), set()).add(found.identity)
    columns: dict[Column, None] = {}
    cells: dict[tuple[str, Column], dict[str, str]] = {}
    for i, found in enumerate(trends):
        several = len(alike[found.device, found.setting]) > 1
        column = Column(found.device, found.setting, found.identity if several else "")
        columns[column] = None
        cells[found.variant, column] = _cell(found, anchors.get(i, ""))
    variants = dict.fromkeys(found.variant for found in trends)
    return {
        "heads": [
            {
                "device": units.name(c.device),
                "about": units.printable(", ".join(filter(None, (c.setting, c.machine)))),
                "name": units.printable(" ".join(c)),
            }
            for c in sorted(columns)
        ],
        "lines": [
            {
                "variant": units.name(variant),
                "cells": [cells.get((variant, c)) for c in sorted(columns)],
            }
            for variant in variants
        ],
    }


def _cell(found: Trend, anchor: str) -> dict[str, str]:
    last = found.points[-1]
    changed, since, kind = "", "", ""
    if found.changes:
        change = found.changes[-1]
        changed = ratio_text(found, change)
        since = f"since {units.moment(found.points[change.at].started_at)}"
        worse = (change.after > change.before) == (metrics.direction(found.metric) == "lower")
        kind = "regression" if worse else "improvement"
    runs = count(len(found.points), "run")
    said = ", ".join(filter(None, (runs, f"{changed} {since}".strip() or "no change")))
    return {
        "value": shown(found.metric, last.value, found.unit),
        "when": units.moment(last.started_at)[:10],
        "changed": changed,
        "kind": kind,
        "doubt": last.status if last.status != "ok" else "",
        "course": _course(found),
        "told": f"{value_text(found, len(found.points) - 1)}; {said}",
        "anchor": anchor,
    }


def _course(found: Trend) -> str:
    """The path of the last values in SVG; '' where there is only one."""
    values = [p.value for p in found.points[-_COURSE:]]
    if len(values) < 2:
        return ""
    # A few per cent of noise must not look like a mountain range.
    middle = median(values)
    low, high = min(*values, middle * 0.95), max(*values, middle * 1.05)
    span = (high - low) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / (len(values) - 1)
    room = _HEIGHT - 2 * _MARGIN
    ats = [
        f"{_MARGIN + i * step:.0f},{_MARGIN + (high - value) / span * room:.1f}"
        for i, value in enumerate(values)
    ]
    return "M" + "L".join(ats)
