"""How a notebook shows a report and its parts: escaped HTML without scripts, and charts as figures.
The HTML needs no package; a figure needs matplotlib."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.analysis.metric_specs import quantity
from harness.core import units
from harness.core.errors import UsageError
from harness.core.types import CaseReport, Comparison, Finding, Verdict
from harness.renderers import comparison, metrics, table
from harness.renderers import verdict as verdicts
from harness.renderers.view import View
from harness.system import plugins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWN = ("variant", "size_bar", "latency_bar", "launches")  # need a font of fixed width


def report_html(view: View) -> str:
    """The verdict, what was compared, and one row per case."""
    report = view.report
    about = (report.run_id, units.moment(report.started_at), view.setting)
    parts = [f"<p>{_text(' · '.join(filter(None, about)))}</p>"]
    verdict = view.verdict
    if verdict is not None:
        parts.append(f"<p><b>{_text(verdict.headline)}</b>: {_text(verdict.reason)}</p>")
    if view.changes:
        parts.append(_changes(view.changes))
    parts.append(_cases(view))
    return _whole(parts)


def verdict_html(verdict: Verdict) -> str:
    """The verdict alone: what it recommends and why, each budget, and its remarks."""
    best = verdict.recommended
    if best is None:
        named = f"; candidate {verdict.candidate}" if verdict.candidate else ""
        best = f"No recommendation{named}"
    parts = [f"<p><b>{_text(best)}</b>: {_text(verdict.reason)}</p>"]
    if verdict.runner_up:
        parts.append(f"<p>{_text(f'{verdict.runner_up}: {verdict.runner_up_reason}')}</p>")
    parts += [f"<p>{_text(verdicts.counted(budget))}</p>" for budget in verdict.budgets]
    parts += [f"<p>{_text(note)}</p>" for note in verdict.notes]
    return _whole(parts)


def comparison_html(compared: Comparison) -> str:
    """The comparison alone: its outcome, every metric of every case, and what speaks against it."""
    runs = f"{compared.baseline_run} → {compared.candidate_run}"
    lines = [comparison.line(c.candidate.id, m) for c in compared.cases for m in c.metrics]
    parts = [f"<p><b>{_text(compared.outcome)}</b>: {_text(runs)}</p>"]
    parts += [_changes(lines)] if lines else []
    return _whole([*parts, *_doubts(compared.findings)])


def case_html(case: CaseReport) -> str:
    """The case alone: its status, every metric with its interval or the reason why it is absent,
    and its findings."""
    parts = [f"<p><b>{_text(case.case.id)}</b>: {_text(case.status)}</p>"]
    if case.failure is not None:
        parts.append(f"<p>{_text(f'{case.failure.message}; {case.failure.fix}')}</p>")
    lines = []
    for metric, m in case.metrics.items():
        told = m.absent_because or units.with_interval(m, quantity(metric, m.unit))
        lines.append((metrics.title(metric), told))
    if lines:
        parts.append(_table(("metric", "value"), lines))
    return _whole([*parts, *_doubts(case.findings)])


def _doubts(findings: Iterable[Finding]) -> list[str]:
    return [f"<p>{_text(f'{f.level} {f.code}: {f.message}; {f.fix}')}</p>" for f in findings]


def _changes(lines: Iterable[comparison.Line]) -> str:
    heads = ("case", "metric", "baseline", "candidate", "ratio", "interval", "outcome")
    return _table(
        heads,
        [(x.label, x.metric, x.baseline, x.candidate, x.ratio, x.range, x.outcome) for x in lines],
    )


def _whole(parts: Iterable[str]) -> str:
    return f"<div>{''.join(parts)}</div>"


def _cases(view: View) -> str:
    rows = view.rows
    if not rows:
        return "<p>Nothing was measured: the plan has no case.</p>"
    columns = [
        column
        for column in table.columns_of(view, rows, wide=False, words=True)
        if column.importance <= table.USUAL and column.key not in _DRAWN
    ]
    heads = ["variant", *(" ".join(filter(None, c.head)) for c in columns)]
    lines = []
    for i, row in enumerate(rows):
        name = f"{table.MARKS[row.mark]} {units.name(row.case.variant)}".strip()
        noted = f"{name} ({', '.join(row.notes)})" if row.notes else name
        lines.append([noted, *(" ".join(c.cells[i].plain.split()) for c in columns)])
    return _table(heads, lines)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(text)}</th>' for text in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>" for cells in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    return html.escape(units.printable(text))


def figure(view: View, chart: str | None = None) -> Figure:
    """A chart of the report by its key, as `--plots` names its files; the first without one. Raises
    UsageError for an unknown key, without anything to draw, and without matplotlib."""
    from harness.renderers import charts, svg

    with svg.drawing():
        found = {c.key: c for c in charts.charts_of(view)}
        if not found:
            raise UsageError("the report has nothing to draw", "measure at least one case")
        if chart is not None and chart not in found:
            raise plugins.unknown("chart", chart, found)
        chosen = found[chart or next(iter(found))]
        drawn: Figure = chosen.draw(svg.PAPER, charts.width_of(chosen)).figure
        return drawn
