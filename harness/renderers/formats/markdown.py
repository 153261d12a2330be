"""The report as GitHub-flavoured markdown, short enough for a pull-request comment.

Verdict and table are visible, everything else is folded away. Names stand in code spans, where
nothing is markup, a link or a mention; other foreign text is escaped.
"""

from __future__ import annotations

from harness.renderers import comparison as against
from harness.renderers import table as grid
from harness.renderers import verdict as verdicts
from harness.renderers.cases import Row
from harness.renderers.doubts import Doubts
from harness.renderers.markdown_text import code, prose, row
from harness.renderers.view import View
from harness.renderers.words import some

_SKIPPED = ("variant", "size_bar", "latency_bar", "launches")


def render(view: View) -> bytes:
    """The whole comment, UTF-8."""
    blocks = [
        f"### Benchmark {code(view.report.run_id)}",
        *_verdict(view),
        *_compared(view),
        *_table(view),
        *_failures(view),
        *_findings(view),
        _how(view),
    ]
    return ("\n\n".join(b for b in blocks if b) + "\n").encode("utf-8", "backslashreplace")


def _verdict(view: View) -> list[str]:
    verdict = view.verdict
    if verdict is None:
        return []
    lines = []
    if verdict.recommended:
        lines.append(f"**★ {code(verdict.recommended)}**: {prose(verdict.reason)}")
    elif verdict.candidate:
        candidate = code(verdict.candidate)
        lines.append(f"**○ Undecided**; candidate {candidate}: {prose(verdict.reason)}")
    elif verdict.reason:
        lines.append(f"**{prose(verdict.reason)}**")
    if verdict.runner_up:
        lines.append(f"☆ {code(verdict.runner_up)}: {prose(verdict.runner_up_reason)}")
    labels = view.labels
    for budget in verdict.budgets:
        said = [
            f"{word} {'of' if word == verdicts.NOT_JUDGED else 'by'} "
            f"{some([code(labels.get(i, i)) for i in ids])}"
            for word, ids in verdicts.standings(budget).items()
        ]
        why = prose(verdicts.why_not_judged(budget))
        lines.append(f"- {code(budget.text)} {', '.join(said)}{why}")
    lines += [f"- {grid.MARKS['pareto']} {prose(said)}" for said in verdict.front]
    lines += [f"- {prose(note)}" for note in verdict.notes]
    return ["\n".join(lines[:1]), *lines[1:2], "\n".join(lines[2:])]


def _compared(view: View) -> list[str]:
    comparison = view.report.comparison
    if comparison is None:
        return []
    sign = against.SIGN[comparison.outcome]
    blocks = [f"**{sign} {comparison.outcome}**: {prose(against.summary(comparison))}"]
    lines = view.changes
    changed = [x for x in lines if x.outcome != "no change"]
    blocks += [_changes(changed)] if changed else []
    same = [x for x in lines if x.outcome == "no change"]
    blocks += [_folded(f"{len(same)} without a change", _changes(same))] if same else []
    doubts = _doubts(view.comparison_doubts)
    doubts += [f"- {prose(only)}" for only in against.unmatched(comparison)]
    return [*blocks, "\n".join(doubts)]


def _changes(lines: list[against.Line]) -> str:
    heads = ["outcome", "variant", "metric", "baseline", "candidate", "ratio", "interval", "note"]
    rows = [
        [
            f"{against.SIGN[x.outcome]} {x.outcome}",
            code(x.label).replace("|", "\\|"),
            *map(prose, (x.metric, x.baseline, x.candidate, x.ratio, x.range, x.note)),
        ]
        for x in lines
    ]
    return "\n".join(map(row, [heads, [":---"] * 3 + ["---:"] * 4 + [":---"], *rows]))


def _table(view: View) -> list[str]:
    rows = view.rows
    if not rows:
        return ["Nothing was measured: the plan has no case."]
    columns = [
        column
        for column in grid.columns_of(view, rows, wide=False, words=True)
        if column.importance <= grid.USUAL and column.key not in _SKIPPED
    ]
    heads = ["variant"] + [prose(" ".join(filter(None, c.head))) for c in columns]
    lines = [row(heads), row([":---"] + ["---:" if c.right else ":---" for c in columns])]
    for i, line in enumerate(rows):
        name = " ".join(filter(None, [grid.MARKS[line.mark], code(line.case.variant)]))
        cells = [prose(" ".join(c.cells[i].plain.split())) for c in columns]
        # A pipe ends a cell even in a code span.
        shown = name.replace("|", "\\|")
        lines.append(row([f"{shown} ({', '.join(line.notes)})" if line.notes else shown, *cells]))
    return ["\n".join(lines), _legend(view, rows, [c.key for c in columns]), *_absent(view)]


def _legend(view: View, rows: list[Row], keys: list[str]) -> str:
    marks = {r.mark for r in rows}
    said = [f"{grid.MARKS[m]} {meaning}" for m, meaning in verdicts.MEANING.items() if m in marks]
    said.append(prose(grid.against_what(view, keys)))
    return " · ".join(filter(None, said))


def _absent(view: View) -> list[str]:
    lines = [f"- {prose(said)}" for said in view.absent]
    return ["\n".join(lines)] if lines else []


def _failures(view: View) -> list[str]:
    lines = [
        f"- ✗ {some([code(n) for n in names])} failed in {prose(failure.stage)}: "
        f"{_said(failure.message, failure.fix)}"
        for failure, names in view.failures
    ]
    return ["**Failures**", "\n".join(lines)] if lines else []


def _findings(view: View) -> list[str]:
    groups = view.findings
    if not groups:
        return []
    counts = {g.level: sum(len(h.doubts) for h in groups if h.level == g.level) for g in groups}
    said = ", ".join(f"{n} {level}" for level, n in counts.items())
    return [_folded(f"Findings: {said}", "\n".join(_doubts(groups)))]


def _doubts(groups: list[Doubts]) -> list[str]:
    lines = []
    for group in groups:
        for doubt in group.doubts:
            about = f"{some([code(n) for n in doubt.about])}: " if doubt.about else ""
            lines.append(
                f"- **{group.level}** {code(group.code)} {about}{_said(doubt.message, doubt.fix)}"
            )
    return lines


def _said(message: str, fix: str) -> str:
    return f"{prose(message)}; *{prose(fix)}*" if fix else prose(message)


def _how(view: View) -> str:
    lines = [f"- {prose(view.setting)}"] if view.report.cases else []
    lines += [f"- {prose(sentence)}" for sentence in view.how]
    lines.append(f"- {prose(f'{view.report.tool.name} {view.report.tool.version}')}")
    if view.report.command:
        lines.append(f"- {code(view.command)}")
    return _folded("How it was measured", "\n".join(lines))


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"
