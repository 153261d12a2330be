"""The report as one page that needs nothing else: no network, no second file."""

from __future__ import annotations

from typing import Any

from harness.core import units
from harness.core.types import Report
from harness.renderers import html_page as pages
from harness.renderers import view
from harness.renderers.html_page import cases, facts, figures, summary

NEEDS = ("jinja2", "markupsafe", "matplotlib")  # of the extra `report`


def render(report: Report) -> bytes:
    """The page, UTF-8. Needs the extra `report` (jinja2, matplotlib)."""
    return pages.page("report.html", _context(report))


def _context(report: Report) -> dict[str, Any]:
    rows = view.rows_of(report)
    groups = figures.groups_of(report, rows)
    forest = [g for g in groups if g["key"] == "baseline"]
    groups = [g for g in groups if g["key"] != "baseline"]
    verdict = summary.verdict_of(report)
    failures = summary.failures_of(report)
    findings = summary.told(view.findings_of(report))
    sections = [
        ("verdict", "Verdict") if verdict else None,
        ("baseline", "Baseline") if report.comparison else None,
        ("cases", "Cases"),
        ("failures", "Failures") if failures else None,
        ("findings", "Findings") if findings else None,
        *((g["key"], g["name"]) for g in groups),
        ("how", "Method"),
    ]
    columns = cases.columns_of(report, rows)
    return {
        "tool": f"{report.tool.name} {report.tool.version}",
        "schema_version": report.schema_version,
        "run_id": units.printable(report.run_id),
        "moment": units.moment(report.started_at),
        "setting": units.printable(view.setting_in_common(report)),
        "sections": [s for s in sections if s],
        "verdict": verdict,
        "comparison": summary.compared(report),
        "forest": forest[0]["charts"] if forest else [],
        "tiles": summary.tiles_of(report, rows),
        "columns": columns,
        "rows": cases.lines_of(report, rows, columns),
        "notes": cases.notes_of(report),
        "failures": failures,
        "findings": findings,
        "groups": groups,
        "how": [units.printable(s) for s in view.how_measured(report)],
        "command": units.printable(view.command_line(report)) if report.command else "",
        "data": facts.data(report),
        "devices": [{"name": units.name(d.name), "facts": facts.device(d)} for d in report.devices],
        "artifacts": [
            {"name": units.name(a.variant), "facts": facts.artifact(a)} for a in report.artifacts
        ],
        "plan": facts.plan(report),
    }
