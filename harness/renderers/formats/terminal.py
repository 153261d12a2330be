"""The report on a terminal: one row per case, findings below, the verdict last.

The most important columns that fit are shown: 80 characters are enough for what decides, 120 for
what is usually asked for. Columns that were left out are named. A colour never says anything that a
word or a sign does not say too.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import IO

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.core import units
from harness.core.text import IN_ASCII, count
from harness.core.types import Level, Outcome
from harness.renderers import absent, metrics
from harness.renderers import comparison as against
from harness.renderers import table as grid
from harness.renderers import verdict as verdicts
from harness.renderers.cases import Row
from harness.renderers.doubts import Doubts
from harness.renderers.table import BAD, DOUBT, GOOD, MARKS, QUIET, plain
from harness.renderers.view import View
from harness.renderers.words import shorten, some

PLAIN_WIDTH = 120
MOST_NOTES = 5
WORDY = 100  # from this width on the status is in words

LEVEL_STYLE: dict[Level, str] = {"invalid": BAD, "serious": DOUBT, "warning": DOUBT, "info": QUIET}


def render(view: View) -> bytes:
    """Plain text of 120 columns, the same whatever the environment says."""
    out = io.StringIO()
    render_to(view, plain_console(out))
    return out.getvalue().encode("utf-8", "replace")


def plain_console(file: IO[str]) -> Console:
    """A console that is not a terminal: text of 120 columns, whatever the environment says."""
    return Console(
        file=file,
        width=PLAIN_WIDTH,
        force_terminal=False,
        color_system=None,
        legacy_windows=False,
        highlight=False,
        _environ={},
    )


def render_to(
    view: View,
    console: Console,
    *,
    wide: bool = False,
    sort: str | None = None,
    columns: Sequence[str] | None = None,
) -> None:
    """Print the report.

    `wide` shows every column, however wide the terminal is; `columns` names the ones to show, in
    this order, after the variant; `sort` names one to sort by, the best first. Both raise
    UsageError for an unknown name.
    """
    rows = view.sorted_by(sort)
    words = wide or columns is not None or console.width >= WORDY
    every = grid.columns_of(view, rows, wide=wide, words=words)
    hidden: list[grid.Column] = []
    if columns is not None:
        shown = grid.asked(every, columns, view)
    elif wide:
        shown = [c for c in every if c.importance < grid.NEVER]
    else:
        shown, hidden = grid.fitting(every, console.width)
        if any(c.importance <= grid.CORE for c in hidden):
            shown, hidden = grid.fitting([grid.compact(c) for c in every], console.width)

    parts: list[RenderableType] = [_headline(view)]
    if rows:
        parts.append(grid.table(shown, console.width))
    parts += _legend(view, rows, shown, hidden, _of_no_case(view, every, sort, columns))
    parts += _failures(view)
    parts += _findings(view)
    parts += _how(view)
    parts += _compared(view, words=words)
    parts += _verdict(view)
    width = max(console.width, grid.width_of(shown)) if rows else console.width
    if console.is_terminal:
        _print(parts, console, width)
    else:
        with console.capture() as captured:
            _print(parts, console, width)
        lines = (line.rstrip() for line in captured.get().splitlines())
        console.out("\n".join(lines), highlight=False)


def _of_no_case(
    view: View, every: list[grid.Column], sort: str | None, columns: Sequence[str] | None
) -> list[str]:
    """The columns that the user asked for but no case has, except those whose reason is shown."""
    there = {c.key for c in every} | absent.never_measured(view.report).keys()
    named = dict.fromkeys([*(columns or ()), *([sort] if sort else ())])
    return [name for name in named if name not in there]


def _print(parts: list[RenderableType], console: Console, width: int) -> None:
    ascii_only = not console.encoding.lower().startswith("utf")
    for part in parts:
        own = width if isinstance(part, Table) else console.width
        drawn = _Drawn(part, own, ascii_only=ascii_only)
        console.print(drawn, crop=False, highlight=False, markup=False, emoji=False)


class _Drawn:
    """Something with a width of its own, which may be more than the console's. If the console is
    ASCII, its signs are replaced by ASCII ones."""

    def __init__(self, inner: RenderableType, width: int, *, ascii_only: bool) -> None:
        self.inner, self.width, self.ascii_only = inner, width, ascii_only

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options.update(width=self.width)):
            if self.ascii_only:
                text = segment.text.translate(IN_ASCII).encode("ascii", "replace").decode("ascii")
                yield Segment(text, segment.style, segment.control)
            else:
                yield segment


# --- around the table ------------------------------------------------------------------------


def _headline(view: View) -> Text:
    text = Text("run ", style=QUIET)
    text.append(units.printable(view.report.run_id), style="bold")
    text.append(f"  {units.moment(view.report.started_at)}", style=QUIET)
    shared = view.setting
    if shared:
        text.append(f"  {units.printable(shared)}", style=QUIET)
    text.append("\n")
    return text


def _legend(
    view: View,
    rows: list[Row],
    shown: list[grid.Column],
    hidden: list[grid.Column],
    nowhere: Sequence[str],
) -> list[RenderableType]:
    keys = {c.key for c in shown}
    marks = {r.mark for r in rows}
    statuses = {str(r.case.status) for r in rows}
    spelled = any(c.key == "status" and c.head[0] for c in shown)
    signs = [
        f"{sign} {' or '.join(said)}"
        for sign, words in (("?", ["suspect"]), ("✗", ["invalid", "failed"]))
        if not spelled and (said := [w for w in words if w in statuses])
    ]
    signs += [f"{MARKS[m]} {said}" for m, said in verdicts.MEANING.items() if m in marks]
    for sign, meaning, bears in (
        ("†", "untrained, which says nothing about accuracy", [r.untrained for r in rows]),
        ("‡", "emulated device, not a phone's numbers", [r.emulated for r in rows]),
        (
            "§",
            "counted on an emulated core: a phone's kernels, not its time",
            [r.counted for r in rows],
        ),
    ):
        if any(bears):
            signs.append(f"all {meaning}" if all(bears) else f"{sign} {meaning}")
    threads = {r.case.threads for r in rows}
    if len(threads) > 1:
        signs.append(f"t{max(threads)}: {count(max(threads), 'thread')}")
    if "latency" in keys:
        level = _confidence(view)
        signs.append(
            f"±: {level} interval over launches"
            if level
            else "±?: too few launches for an interval"
        )
    if "launches" in keys:
        signs.append("spread: launches around their median")
    if keys & {"within", "between"}:
        signs.append("within, between launches: standard deviation, share of latency")
    if "outliers" in keys:
        signs.append("outliers: launches outside Tukey's fences, kept in every number")
    if reference := grid.against_what(view, keys):
        signs.append(reference)
    lines = [Text(" · ".join(signs), style=QUIET)] if signs else []
    if hidden:
        # A bar only repeats its number, which is named if it is hidden too.
        names = [grid.name(c) for c in hidden if not c.key.endswith("_bar")]
        if names and rows:
            lines.append(Text(f"more with --wide: {', '.join(names)}", style=QUIET))
    for name in nowhere:
        lines.append(Text(f"{metrics.title(name)}: no case of this report has it", style=QUIET))
    lines += [Text(units.printable(said), style=QUIET) for said in view.absent]
    if not rows:
        lines.append(Text("nothing was measured: the plan has no case", style=DOUBT))
    return [Text(""), *lines] if lines else []


def _confidence(view: View) -> str:
    levels = [
        m.confidence
        for case in view.report.cases
        if (m := metrics.measured(case, "latency")) is not None and m.estimate and m.confidence
    ]
    return f"{min(levels) * 100:.0f} %" if levels else ""


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _failures(view: View) -> list[RenderableType]:
    failures = view.failures
    if not failures:
        return []
    parts: list[RenderableType] = [_heading("Failures")]
    for failure, names in failures:
        about = Text.assemble(("✗ ", BAD), plain(some(_short(names))))
        about.append(units.printable(f" failed in {failure.stage}"), style=QUIET)
        parts += [Padding(about, (0, 0, 0, 2)), _said(failure.message, failure.fix)]
    return parts


def _findings(view: View) -> list[RenderableType]:
    groups = view.findings
    return [_heading("Findings"), *_doubts(groups)] if groups else []


def _doubts(groups: list[Doubts]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for group in groups:
        head = Text(f"{group.level} ", style=LEVEL_STYLE[group.level])
        head.append(units.printable(group.code), style="bold")
        parts.append(Padding(head, (0, 0, 0, 2)))
        for i, doubt in enumerate(group.doubts):
            # Equal findings about different cases have the same fix: print it once, at the end.
            last = i + 1 == len(group.doubts) or group.doubts[i + 1].fix != doubt.fix
            about = f"{some(_short(doubt.about))}: " if doubt.about else ""
            parts.append(_said(about + doubt.message, doubt.fix if last else ""))
    return parts


def _short(names: Iterable[str]) -> list[str]:
    return [shorten(name, 40) for name in names]


def _said(message: str, fix: str) -> Padding:
    lines: list[RenderableType] = [plain(message)]
    if fix:
        lines.append(Text.assemble(("→ ", GOOD), plain(fix)))
    return Padding(Group(*lines), (0, 0, 0, 4))


def _how(view: View) -> list[RenderableType]:
    """On what, how often, why it ended, how to repeat it."""
    sentences = [*view.how, *([f"again: {view.command}"] if view.report.command else [])]
    if not sentences:
        return []
    return [_heading("Measured"), *(Padding(plain(s), (0, 0, 0, 2)) for s in sentences)]


OUTCOME_STYLE: dict[Outcome, str] = {
    "regression": BAD,
    "inconclusive": DOUBT,
    "improvement": GOOD,
    "no change": QUIET,
}


def _compared(view: View, *, words: bool) -> list[RenderableType]:
    """What changed against the baseline; metrics without a change are only counted."""
    comparison = view.report.comparison
    if comparison is None:
        return []
    parts: list[RenderableType] = [
        _heading("Against the baseline"),
        Padding(plain(against.summary(comparison, signs=not words)), (0, 0, 1, 2)),
    ]
    lines = [x for x in view.changes if x.outcome != "no change"]
    if lines:
        parts += [Padding(_changes(lines, words=words), (0, 0, 0, 2))]
        notes: dict[tuple[str, str], list[str]] = {}
        for x in lines:
            if x.note:
                notes.setdefault((shorten(x.label, 40), x.note), []).append(x.metric)
        parts += [
            Padding(plain(f"{label}, {', '.join(metrics)}: {note}"), (0, 0, 0, 2))
            for (label, note), metrics in list(notes.items())[:MOST_NOTES]
        ]
    parts += _doubts(view.comparison_doubts)
    parts += [Padding(plain(said), (0, 0, 0, 2)) for said in against.unmatched(comparison)]
    return parts


def _changes(lines: list[against.Line], *, words: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    table.add_column("outcome" if words else "", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=16)
    for name in ("metric", "baseline", "candidate", "ratio", "interval"):
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for x in lines:
        said = f"{against.SIGN[x.outcome]} {x.outcome}" if words else against.SIGN[x.outcome]
        sign = Text(said, style=OUTCOME_STYLE[x.outcome])
        cells = (x.metric, x.baseline, x.candidate, x.ratio, x.range.replace(" to ", "–"))  # noqa: RUF001
        table.add_row(sign, plain(shorten(x.label, 40)), *cells)
    return table


def _verdict(view: View) -> list[RenderableType]:
    """The panel at the very end, where the eye is when the command returns."""
    verdict = view.verdict
    if verdict is None:
        return []
    lines: list[RenderableType] = []
    for mark, name, said in (
        ("★", verdict.recommended, "" if verdict.candidate else verdict.reason),
        ("○", verdict.candidate, verdict.reason),
        ("☆", verdict.runner_up, verdict.runner_up_reason),
    ):
        if name is None:
            lines += [plain(said)] if said and mark == "★" else []
            continue
        undecided = "Undecided; candidate " if name == verdict.candidate else ""
        sign = (f"{mark} ", DOUBT if undecided else GOOD)
        text = Text.assemble(sign, undecided, (units.name(name), "bold"))
        lines.append(text.append(f": {units.printable(said)}" if said else ""))
    lines += [plain(verdicts.counted(budget)) for budget in verdict.budgets]
    lines += [Text.assemble((f"{MARKS['pareto']} ", GOOD), plain(said)) for said in verdict.front]
    lines += [plain(note) for note in verdict.notes]
    style = GOOD if verdict.recommended else DOUBT if verdict.candidate else BAD
    panel = Panel(Group(*lines), title="Verdict", title_align="left", border_style=style)
    return [Text(""), panel]
