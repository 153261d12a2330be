"""The report as one page that needs nothing else: no network, no second file."""

from __future__ import annotations

from typing import Any

from harness.core import units
from harness.renderers import html_page as pages
from harness.renderers.html_page import cases, facts, figures, summary
from harness.renderers.view import View

NEEDS = ("jinja2", "markupsafe", "matplotlib")  # of the extra `report`


def render(view: View) -> bytes:
    """The page, UTF-8. Needs the extra `report` (jinja2, matplotlib)."""
    return pages.page("report.html", _context(view))


def _context(view: View) -> dict[str, Any]:
    report, rows = view.report, view.rows
    groups = figures.groups_of(view, rows)
    forest = [g for g in groups if g["key"] == "baseline"]
    groups = [g for g in groups if g["key"] != "baseline"]
    verdict = summary.verdict_of(view)
    failures = summary.failures_of(view)
    findings = summary.grouped(view.findings)
    sections = [
        ("verdict", "Verdict") if verdict else None,
        ("baseline", "Baseline") if report.comparison else None,
        ("cases", "Cases"),
        ("failures", "Failures") if failures else None,
        ("findings", "Findings") if findings else None,
        *((g["key"], g["name"]) for g in groups),
        ("how", "Method"),
    ]
    columns = cases.columns_of(view, rows)
    return {
        "tool": f"{report.tool.name} {report.tool.version}",
        "schema_version": report.schema_version,
        "run_id": units.printable(report.run_id),
        "moment": units.moment(report.started_at),
        "setting": units.printable(view.setting),
        "sections": [s for s in sections if s],
        "verdict": verdict,
        "comparison": summary.compared(view),
        "forest": forest[0]["charts"] if forest else [],
        "tiles": summary.tiles_of(view, rows),
        "columns": columns,
        "rows": cases.lines_of(view, rows, columns),
        "notes": cases.notes_of(view),
        "failures": failures,
        "findings": findings,
        "groups": groups,
        "how": [units.printable(s) for s in view.how],
        "command": units.printable(view.command) if report.command else "",
        "data": facts.data(report),
        "devices": [{"name": units.name(d.name), "facts": facts.device(d)} for d in report.devices],
        "artifacts": [
            {
                "name": units.name(a.variant),
                "facts": facts.artifact(a),
                "smaller": facts.smaller(a),
                "layer_errors": facts.layer_errors(a),
            }
            for a in report.artifacts
        ],
        "plan": facts.plan(report),
    }
