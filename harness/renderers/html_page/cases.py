"""The table of cases: its columns and cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.analysis.metric_specs import quantity
from harness.core import units
from harness.core.types import Noise
from harness.renderers import metrics
from harness.renderers import table as grid
from harness.renderers.cases import Row, best_point, macs_in_millions
from harness.renderers.how import outliers
from harness.renderers.html_page.summary import interval
from harness.renderers.view import View
from harness.renderers.words import shorten


def columns_of(view: View, rows: list[Row]) -> list[dict[str, Any]]:
    """The columns of the table of cases: key, title, unit and how each sorts."""

    def column(
        key: str, title: str, unit: str = "", first: str = "ascending", **more: Any
    ) -> dict[str, Any]:
        return {"key": key, "title": title, "unit": unit, "first": first, **more}

    columns = [column("variant", "variant", number=False)]
    if any(r.place for r in rows):
        columns.append(column("device", "device", number=False))
    columns.append(column("status", "status", number=False))
    known = view.metrics
    # What decides stands at the left of the table, the rest behind it in reading order.
    first_ones = metrics.leading(known)
    macs = any(r.artifact and r.artifact.macs for r in rows)
    for metric in first_ones + [m for m in known if m not in first_ones]:
        found = [m for r in rows if (m := metrics.measured(r.case, metric)) is not None]
        if not found:
            continue
        scale = units.column_scale(
            quantity(metric, found[0].unit), (m.point for m in found if m.point)
        )
        if metrics.is_bound(metric):
            best = min(m.ci_high for m in found if m.ci_high is not None)
            columns.append(
                column(metric, metrics.title(metric), "points", number=True, bound=True, best=best)
            )
            continue
        first = "descending" if metrics.direction(metric) == "higher" else "ascending"
        unit = "" if scale.label in ("ratio", "count") else scale.label
        columns.append(
            column(metric, metrics.title(metric), unit, first, number=True, scale=scale,
                   best=best_point(metric, rows))
        )  # fmt: skip
        if metric == "instructions" and macs:  # instructions are compared with them
            columns.append(column("macs", "MACs", "million", number=True))
    if any(r.case.case.id in view.noise for r in rows):
        columns.append(column("within", "within launches", number=True))
        columns.append(column("between", "between launches", number=True))
        columns.append(column("outliers", "outliers", number=True))
    if macs and not any(c["key"] == "macs" for c in columns):
        columns.append(column("macs", "MACs", "million", number=True))
    if "sparsity" not in known and any(r.artifact and r.artifact.sparsity for r in rows):
        columns.append(column("sparsity", "sparsity", first="descending", number=True))
    leading = {"variant", "device", "status", "macs", *first_ones}
    at = next((i for i, c in enumerate(columns) if c["key"] not in leading), len(columns))
    reference = view.reference
    for key in ("faster", "smaller"):
        if any(getattr(r, key) is not None for r in rows):
            unit = f"vs {shorten(units.name(reference or ''), 16)}"
            columns.insert(at, column(key, key, unit, "descending", number=True))
    return columns


def lines_of(view: View, rows: list[Row], columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the table of cases, one per row, a cell per column."""
    shown = []
    for row in rows:
        noise = view.noise.get(row.case.case.id)
        shown.append(
            {
                "mark": row.mark,
                "sign": "" if row.mark == "pareto" else grid.MARKS[row.mark],
                "notes": row.notes,
                "cells": [_cell(row, column, noise) for column in columns],
            }
        )
    return shown


def _cell(row: Row, column: dict[str, Any], noise: Noise | None) -> dict[str, str]:
    key, case = column["key"], row.case
    cell = {"value": "", "text": "", "spread": "", "more": "", "badge": "", "classes": ""}
    if key == "variant":
        name = units.name(case.variant)
        short = shorten(name, 96)
        return {**cell, "value": name, "text": short, "more": name if short != name else ""}
    if key == "device":
        return {**cell, "value": row.place, "text": units.printable(row.place)}
    if key == "status":
        order = {"ok": "0", "suspect": "1", "invalid": "2", "failed": "3"}[case.status]
        return {**cell, "value": order, "badge": case.status}
    if key in ("within", "between", "outliers"):
        return {**cell, **_noise_cell(row, key, noise)}
    if key in _DERIVED:
        value, text = _DERIVED[key](row)
        shown = "" if value is None else units.exact(value)
        return {**cell, "value": shown, "text": text, "classes": "number"}
    return {**cell, **_metric_cell(row, column)}


def _noise_cell(row: Row, key: str, noise: Noise | None) -> dict[str, str]:
    """A spread relative to the latency, with its value in time behind it; or how many outliers."""
    if noise is None:
        return {"text": units.ABSENT, "classes": "number absent"}
    if key == "outliers":
        which = ", ".join(f"launch {x.launch + 1} {x.label}" for x in noise.outliers)
        return {
            "value": str(len(noise.outliers)),
            "text": outliers(noise) or "0",
            "more": which,
            "classes": "number",
        }
    deviation, latency = getattr(noise, f"{key}_ns"), metrics.point(row.case, "latency")
    if deviation is None or not latency:
        hint = noise.absent_because or ""
        return {"text": units.ABSENT, "more": hint, "classes": "number absent"}
    lasting = ""
    if key == "between" and noise.between_share is not None:
        share = units.percent(noise.between_share)
        lasting = f"; {share} of the variance, which only more launches reduce"
    return {
        "value": units.exact(deviation / latency),
        "text": units.percent(deviation / latency),
        "more": f"standard deviation {units.duration(deviation)}" + lasting,
        "classes": "number",
    }


def _sparsity(row: Row) -> tuple[float | None, str]:
    zero = row.artifact.sparsity if row.artifact else None
    return zero, units.percent(zero)


# Columns of numbers that are not metrics: their exact value, and how it is shown.
_DERIVED: dict[str, Callable[[Row], tuple[float | None, str]]] = {
    "macs": lambda r: (r.artifact.macs if r.artifact else None, macs_in_millions(r)),
    "sparsity": _sparsity,
    "smaller": lambda r: (r.smaller, units.times(r.smaller)),
    "faster": lambda r: (r.faster, units.times(r.faster)),
}


def _metric_cell(row: Row, column: dict[str, Any]) -> dict[str, str]:
    key, case = column["key"], row.case
    m = metrics.measured(case, key)
    if m is None or m.point is None:
        hint = units.printable(metrics.why_absent(case, key))
        return {"text": units.ABSENT, "more": hint, "classes": "number absent"}
    if column.get("bound") and m.ci_high is not None:
        return {
            "value": units.exact(m.ci_high),
            "text": units.points(m.ci_high, up=True).split()[0],
            "more": f"lost {units.points(m.point)} on {m.n} images; with 95 % confidence it is at "
            f"least {units.points(m.ci_low or 0.0)} and at most {units.points(m.ci_high, up=True)}",
            "classes": "number best" if m.ci_high == column["best"] else "number",
        }
    hint = interval(key, m.unit, m.ci_low, m.ci_high)
    level = f" ({m.confidence:.0%}, n = {m.n})" if hint and m.confidence else ""
    return {
        "value": units.exact(m.point),
        "text": column["scale"].show(m.point),
        "spread": units.spread(m, column["scale"]) if m.estimate or key == "latency" else "",
        "more": hint + level,
        "classes": "number best" if m.point == column["best"] else "number",
    }


def notes_of(view: View) -> list[str]:
    """Why values are missing, one sentence per reason."""
    return [units.printable(said) for said in view.absent]
