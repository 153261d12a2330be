"""The report as one page that needs nothing else: no network, no second file.

The template escapes every text; a content security policy forbids all scripts but ours and every
request, so that a hostile name could do nothing even if it got through.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from harness.core import units
from harness.core.stats import launch_median
from harness.core.types import Artifact, DeviceFacts, Launch, Report, Value
from harness.renderers import _charts as charts
from harness.renderers import _comparison as against
from harness.renderers import _svg as svg
from harness.renderers import _table as grid
from harness.renderers import _verdict as verdicts
from harness.renderers import _view as view
from harness.renderers._optional import require

NEEDS = ("jinja2", "markupsafe", "matplotlib")  # of the extra `report`
_FILES = Path(__file__).parent / "_html"

_DARK = """
    color-scheme: dark;
    --page: #11151b; --surface: #191f27; --raised: #1e252e; --ink: #e9edf2; --muted: #a3aebb;
    --grid: #2b333d; --line: #38424e; --accent: #7cc0ff;
    --pale: #2f5d80; --good: #7cc0ff; --doubt: #f0b860; --bad: #ff9d92;
    --good-soft: #16324a; --doubt-soft: #3a2c12; --bad-soft: #43201d;
    --series-0: #56b4e9; --series-1: #ff9f4a; --series-2: #3ccfa4; --series-3: #eba3cb;
    --series-4: #e2c653; --series-5: #9cc9ff; --series-6: #bdbdbd; --series-7: #c79bef;
"""

# What decides stands at the left of the table, the rest behind it in reading order.
_FIRST = ("size", "latency", "peak_rss", "accuracy", "instructions")
_LEADING = ("variant", "device", "status", *_FIRST)

_GROUPS = {
    "baseline": ("Against the baseline", "charts", ""),
    "overview": ("Overview", "charts", ""),
    "distributions": (
        "Latency by launch",
        "panels",
        "Each launch is a fresh process: the dot is its median, the thick line its middle half, "
        "the thin one 5 % to 95 % of its iterations. The band is the interval of the case's "
        "latency.",
    ),
    "confusion": (
        "Confusion",
        "panels",
        "Rows are what an image shows, columns what it was taken for.",
    ),
    "sustained": (
        "Minute by minute",
        "panels",
        "The median latency of each minute; a square where the device said that it throttles.",
    ),
    "ops": ("Most expensive operators", "panels", "Mean time per inference by the profiler."),
    "layers": ("Largest layers", "panels", ""),
}


def render(report: Report) -> bytes:
    """The page, UTF-8. Needs the extra `report` (jinja2, matplotlib)."""
    return page("report.html", _context(report))


def page(template: str, context: dict[str, Any]) -> bytes:
    """A page from a template and what it shows."""
    jinja2, markup = require("jinja2"), require("markupsafe").Markup
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = (_FILES / "script.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text: str = environment.get_template(template).render(
        context,
        style=markup(_style()),
        script=markup(script),
        script_hash=markup(f"sha256-{digest}"),
    )
    return text.encode("utf-8", "backslashreplace")


def _style() -> str:
    css = (_FILES / "style.css").read_text("utf-8")
    light = "".join(re.findall(r"  --(?!font|mono)[^\n]*\n", css.partition("}")[0]))
    return css.replace("%DARK%", _DARK).replace("%LIGHT%", light)


def _context(report: Report) -> dict[str, Any]:
    rows = view.rows_of(report)
    groups = _groups(report, rows)
    forest = [g for g in groups if g["key"] == "baseline"]
    groups = [g for g in groups if g["key"] != "baseline"]
    verdict = _verdict(report)
    failures, findings = _failures(report), _told(view.findings_of(report))
    sections = [
        ("verdict", "Verdict") if verdict else None,
        ("baseline", "Baseline") if report.comparison else None,
        ("cases", "Cases"),
        ("failures", "Failures") if failures else None,
        ("findings", "Findings") if findings else None,
        *((g["key"], g["title"]) for g in groups),
        ("how", "How measured"),
    ]
    columns = _columns(report, rows)
    return {
        "tool": f"{report.tool.name} {report.tool.version}",
        "schema_version": report.schema_version,
        "run_id": units.printable(report.run_id),
        "moment": units.moment(report.started_at),
        "setting": units.printable(view.setting_in_common(report)),
        "sections": [s for s in sections if s],
        "verdict": verdict,
        "comparison": _compared(report),
        "forest": forest[0]["charts"] if forest else [],
        "tiles": _tiles(report, rows),
        "columns": columns,
        "rows": _rows(report, rows, columns),
        "notes": _notes(report),
        "failures": failures,
        "findings": findings,
        "groups": groups,
        "how": [units.printable(s) for s in view.how_measured(report)],
        "command": units.printable(view.command_line(report)) if report.command else "",
        "devices": [{"name": units.name(d.name), "facts": _device(d)} for d in report.devices],
        "artifacts": [
            {"name": units.name(a.variant), "facts": _artifact(a)} for a in report.artifacts
        ],
        "plan": _plan(report),
    }


# --- verdict and key figures -----------------------------------------------------------------


def _verdict(report: Report) -> dict[str, Any] | None:
    verdict = verdicts.verdict_of(report, view.labels_of(report))
    if verdict is None:
        return None
    labels = view.labels_of(report)
    budgets = []
    for budget in verdict.budgets:
        named = {
            outcome: [
                labels.get(i, units.name(i)) for i, o in budget.outcomes.items() if o == outcome
            ]
            for outcome in verdicts.OUTCOMES
        }
        groups = [(outcome, view.some(names)) for outcome, names in named.items() if names]
        budgets.append(
            {
                "text": units.printable(budget.text),
                "groups": groups,
                "unknown": [units.printable(x) for x in verdicts.unknown(budget, labels)],
            }
        )
    return {
        "headline": units.name(verdict.headline),
        "recommended": units.name(verdict.recommended) if verdict.recommended else None,
        "reason": units.printable(verdict.reason),
        "runner_up": units.name(verdict.runner_up) if verdict.runner_up else None,
        "runner_up_reason": units.printable(verdict.runner_up_reason),
        "notes": [units.printable(n) for n in verdict.notes],
        "budgets": budgets,
    }


def _tiles(report: Report, rows: list[view.Row]) -> list[dict[str, str]]:
    """The figures of the recommended case; without one, of the run."""
    chosen = next((r for r in rows if r.mark == "recommended"), None)
    if chosen is None:
        doubts = sum(len(g.doubts) for g in view.findings_of(report))
        launches = sum(len(c.launches) for c in report.cases)
        worst = report.stopped.worst_half_width if report.stopped else None
        tiles = [("cases", str(len(rows)), ""), ("launches", str(launches), "")]
        tiles += [("widest interval", f"±{units.percent(worst)}", "")] if worst is not None else []
        return [
            {"name": n, "value": v, "note": w}
            for n, v, w in [*tiles, ("findings", str(doubts), "")]
        ]
    reference = view.reference_of(report)
    against = {
        "size": f"{units.times(chosen.smaller)} smaller than {reference}" if chosen.smaller else "",
        "latency": f"{units.times(chosen.faster)} faster than {reference}" if chosen.faster else "",
    }
    tiles = []
    for metric in ("size", "latency", "latency_p95", "peak_rss", "accuracy", "instructions"):
        m = view.measured(chosen.case, metric)
        if m is None:
            continue
        interval = _interval(metric, m.unit, m.ci_low, m.ci_high)
        note = against.get(metric) or (f"interval {interval}" if interval else "")
        tiles.append((view.title(metric), units.metric(metric, m.point, m.unit), note))
    return [{"name": n, "value": v, "note": units.printable(w)} for n, v, w in tiles]


def _interval(metric: str, unit: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{units.metric(metric, low, unit)} to {units.metric(metric, high, unit)}"


# --- the table -------------------------------------------------------------------------------


def _columns(report: Report, rows: list[view.Row]) -> list[dict[str, Any]]:
    def column(
        key: str, title: str, unit: str = "", first: str = "ascending", **more: Any
    ) -> dict[str, Any]:
        return {"key": key, "title": title, "unit": unit, "first": first, **more}

    columns = [column("variant", "variant", number=False)]
    if any(r.place for r in rows):
        columns.append(column("device", "device", number=False))
    columns.append(column("status", "status", number=False))
    known = view.metrics_of(report)
    first_ones = [m for m in _FIRST if m in known]
    for metric in first_ones + [m for m in known if m not in _FIRST]:
        found = [m for r in rows if (m := view.measured(r.case, metric)) is not None]
        if not found:
            continue
        scale = units.column_scale(metric, found[0].unit, (m.point for m in found if m.point))
        first = "descending" if view.direction(metric) == "higher" else "ascending"
        unit = "" if scale.label in ("ratio", "count") else scale.label
        columns.append(
            column(metric, view.title(metric), unit, first, number=True, scale=scale,
                   best=view.best(metric, rows))
        )  # fmt: skip
    if "instructions" in known and any(r.artifact and r.artifact.macs for r in rows):
        columns.append(column("macs", "MACs", "million", "descending", number=True))
    at = next((i for i, c in enumerate(columns) if c["key"] not in _LEADING), len(columns))
    reference = view.reference_of(report)
    for key in ("faster", "smaller"):
        if any(getattr(r, key) is not None for r in rows):
            unit = f"vs {grid.shorten(units.name(reference or ''), 16)}"
            columns.insert(at, column(key, key, unit, "descending", number=True))
    return columns


def _rows(
    report: Report, rows: list[view.Row], columns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    shown = []
    for row in rows:
        notes = [n for n, has in (("untrained", row.untrained), ("emulated", row.emulated)) if has]
        shown.append(
            {
                "mark": row.mark,
                "sign": grid.MARKS[row.mark] if row.mark in ("recommended", "runner-up") else "",
                "notes": notes,
                "cells": [_cell(row, column) for column in columns],
            }
        )
    return shown


def _cell(row: view.Row, column: dict[str, Any]) -> dict[str, str]:
    key, case = column["key"], row.case
    cell = {"value": "", "text": "", "spread": "", "hint": "", "badge": "", "classes": ""}
    if key == "variant":
        name = units.name(case.variant)
        short = grid.shorten(name, 96)
        return {**cell, "value": name, "text": short, "hint": name if short != name else ""}
    if key == "device":
        return {**cell, "value": row.place, "text": units.printable(row.place)}
    if key == "status":
        order = {"ok": "0", "suspect": "1", "invalid": "2", "failed": "3"}[case.status]
        return {**cell, "value": order, "badge": case.status}
    if key == "macs":
        macs = row.artifact.macs if row.artifact else None
        value = "" if macs is None else str(macs)
        return {**cell, "value": value, "text": view.macs_in_millions(row), "classes": "number"}
    if key in ("smaller", "faster"):
        ratio = getattr(row, key)
        value = "" if ratio is None else units.exact(ratio)
        return {**cell, "value": value, "text": units.times(ratio), "classes": "number"}
    return {**cell, **_metric_cell(row, column)}


def _metric_cell(row: view.Row, column: dict[str, Any]) -> dict[str, str]:
    key, case = column["key"], row.case
    m = view.measured(case, key)
    if m is None or m.point is None:
        hint = units.printable(view.why_absent(case, key))
        return {"text": units.ABSENT, "hint": hint, "classes": "number absent"}
    hint = _interval(key, m.unit, m.ci_low, m.ci_high)
    level = f" ({m.confidence:.0%}, n = {m.n})" if hint and m.confidence else ""
    return {
        "value": units.exact(m.point),
        "text": column["scale"].show(m.point),
        "spread": units.spread(m, column["scale"]) if m.estimate or key == "latency" else "",
        "hint": hint + level,
        "classes": "number best" if m.point == column["best"] else "number",
    }


def _notes(report: Report) -> list[str]:
    absent = view.never_measured(report).items()
    return [f"{view.title(m)}: absent, {units.printable(reason)}" for m, reason in absent]


# --- the baseline ----------------------------------------------------------------------------


def _compared(report: Report) -> dict[str, Any] | None:
    comparison = report.comparison
    if comparison is None:
        return None
    return {
        "outcome": comparison.outcome,
        "summary": against.summary(comparison),
        "lines": against.lines_of(report),
        "doubts": _told(against.doubts_of(report)),
        "unmatched": against.unmatched(comparison),
    }


# --- doubts ----------------------------------------------------------------------------------


def _failures(report: Report) -> list[dict[str, str]]:
    return [
        {
            "names": view.some(names),
            "stage": units.printable(failure.stage),
            "message": units.printable(failure.message),
            "mend": units.printable(failure.mend),
        }
        for failure, names in view.failures_of(report)
    ]


def _told(groups: list[view.Doubts]) -> list[dict[str, Any]]:
    return [
        {
            "level": group.level,
            "code": units.printable(group.code),
            "doubts": [
                {
                    "about": view.some(doubt.about),
                    "message": units.printable(doubt.message),
                    "mend": units.printable(doubt.mend),
                }
                for doubt in group.doubts
            ],
        }
        for group in groups
    ]


# --- charts ----------------------------------------------------------------------------------


def draw(found: list[charts.Chart]) -> list[dict[str, Any]]:
    """The charts as the templates show them. A page can hold each key once."""
    markup = require("markupsafe").Markup
    with svg.drawing():
        return [
            {
                "title": chart.title,
                "caption": chart.caption,
                "group": chart.group,
                "svg": markup(svg.to_svg(chart.draw(svg.PAGE), chart.key, label=chart.alt)),
            }
            for chart in found
        ]


def _groups(report: Report, rows: list[view.Row]) -> list[dict[str, Any]]:
    drawn: dict[str, list[dict[str, Any]]] = {}
    for chart in draw(charts.charts_of(report)):
        drawn.setdefault(chart["group"], []).append(chart)
    groups = []
    for key, made in drawn.items():
        title, layout, lead = _GROUPS[key]
        numbers = _launches(report, rows) if key == "distributions" else None
        groups.append(
            {
                "key": key,
                "title": title,
                "layout": layout,
                "lead": lead,
                "charts": made,
                "numbers": numbers,
            }
        )
    return groups


def _iterations(launch: Launch) -> str:
    if launch.latency_ns:
        return str(len(launch.latency_ns))
    return units.ABSENT if launch.latency_summary is None else str(launch.latency_summary.count)


def _launches(report: Report, rows: list[view.Row]) -> dict[str, Any]:
    """The same as a table, for who does not see the charts."""
    labels = view.labels_of(report)
    lines = [
        (
            labels[row.case.case.id],
            str(launch.index + 1),
            str(launch.order + 1),
            units.duration(launch_median(launch)),
            _iterations(launch),
            units.duration(launch.init_ns),
            units.memory(launch.peak_rss_bytes),
        )
        for row in rows[: charts.MOST_CASES]
        for launch in row.case.launches
        if launch_median(launch)
    ]
    heads = ("case", "launch", "order", "median", "iterations", "init", "peak RSS")
    return {"heads": heads, "lines": lines}


# --- how it was measured ---------------------------------------------------------------------


def _facts(value: Value, skip: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """What is known, field by field, in the order of the type."""
    facts = []
    for field in value.__struct_fields__:
        found = getattr(value, field)
        if field in skip or found is None or found in ((), {}, ""):
            continue
        name = field.replace("_", " ")
        facts.append((name, units.printable(_text(field, found))))
    return facts


def _text(field: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, int) and field == "ram_bytes":
        return units.memory(value)
    if isinstance(value, int) and field.endswith("_bytes"):
        return units.file_size(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _device(device: DeviceFacts) -> list[tuple[str, str]]:
    return _facts(device, skip=("name",))


def _artifact(artifact: Artifact) -> list[tuple[str, str]]:
    facts = _facts(artifact, skip=("variant", "inputs", "outputs", "layers", "findings"))
    for field in ("inputs", "outputs"):
        said = [
            f"{t.name} {'x'.join(map(str, t.shape))} {t.dtype}" for t in getattr(artifact, field)
        ]
        facts.append((field, units.printable(", ".join(said))))
    return facts


def _plan(report: Report) -> list[tuple[str, str]]:
    facts = [(k, units.printable(str(v))) for k, v in report.host.items()]
    facts += _facts(report.plan, skip=("cases", "timing"))
    return facts + _facts(report.plan.timing)
