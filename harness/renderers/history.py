"""Runs and trends, for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.metric_specs import shown
from harness.core import units
from harness.core.text import count
from harness.renderers import metrics
from harness.renderers.charts import trends as trend_charts
from harness.renderers.charts.trends import ratio_text, value_text
from harness.renderers.table import BAD, DOUBT, GOOD, QUIET, plain
from harness.renderers.words import shorten, some
from harness.stats.trend import RunLine, Skipped, Trend

if TYPE_CHECKING:
    from harness.renderers.plots import Kind

MOST_CHARTS = 40  # on a page: those that changed, then the first ones; `--plots` draws all
MOST_DRAWN = 2400  # points in all of them: long trends must not make the page slow
MOST_RUNS = 30  # of a list or a trend on the terminal, the last ones
_EXACT = (
    "A point per run, and a line where it changed: these numbers are exact, so every "
    "difference is a change."
)
_NOISY = (
    "A point per run with its interval; lines are medians between changes. A change is where the "
    "ranks before and after differ by more than chance explains. A shift of all variants at once "
    "is the machine, not the model."
)
HEADS = ("run", "when", "cases", "not ok", "devices")
STRIP = 32  # cells of the strip that shows where a run lies


# --- terminal --------------------------------------------------------------------------------


def show_runs(runs: Sequence[RunLine], console: Console) -> None:
    """The list of runs, the latest last."""
    if runs:
        lines = [
            (
                shorten(units.printable(run.run_id), 24),
                units.moment(run.started_at),
                str(sum(run.statuses.values())),
                _trouble(run),
                some(_short(run.devices), 2),
            )
            for run in runs[-MOST_RUNS:]
        ]
        table = _table(*HEADS, "variants")
        # Where it is narrow the list of variants gives way.
        columns = zip(HEADS, *lines, strict=True)
        room = console.width - sum(max(map(cell_len, column)) + 2 for column in columns)
        for run, line in zip(runs[-MOST_RUNS:], lines, strict=True):
            variants = _cut(some(_short(run.variants), 4), max(12, room))
            style = ("", "", "", DOUBT, "", "")
            cells = zip((*line, variants), style, strict=True)
            table.add_row(*(Text(text, style=style) for text, style in cells))
        for column in table.columns:
            column.no_wrap = True
        table.columns[2].justify = "right"
        _print(console, table)
    else:
        _print(console, Text("there is no run yet", style=QUIET))
    if len(runs) > MOST_RUNS:
        _print(console, Text(f"and {len(runs) - MOST_RUNS} earlier ones", style=QUIET))


def show_skipped(skipped: Sequence[Skipped], console: Console) -> None:
    """What was skipped and why."""
    for one in skipped:
        said = Text.assemble(("skipped ", BAD), plain(f"{one.path}: {one.reason}"))
        if one.fix:
            said.append(f"\n  → {units.printable(one.fix)}")
        _print(console, said)


def show_trends(trends: Sequence[Trend], console: Console) -> None:
    """Each trend as a table with a strip: the interval of every run on a common scale, and a line
    wherever it changed."""
    for found in trends:
        head = Text.assemble((units.name(found.variant), "bold"), " on ", plain(found.device))
        head.append(
            f", {units.printable(found.setting)}: {metrics.title(found.metric)}", style=QUIET
        )
        if len({t.identity for t in trends if t.device == found.device}) > 1:
            # Several machines have this name: say which one this is.
            head.append(f" ({units.printable(found.identity)})", style=QUIET)
        _print(console, head)
        _print(console, _trend_table(found, console.width))
        earlier = len(found.points) - MOST_RUNS
        if earlier > 0:
            _print(console, Text(f"and {earlier} earlier runs", style=QUIET))
        _print(console, Text(_conclusion(found), style="" if found.changes else QUIET))
        _print(console, Text(""))


def _conclusion(found: Trend) -> str:
    if found.changes:
        last = found.changes[-1]
        since = found.points[last.at]
        return (
            f"changed {count(len(found.changes), 'time')}, last with "
            f"{units.printable(since.run_id)}: "
            f"{shown(found.metric, last.before, found.unit)} to "
            f"{shown(found.metric, last.after, found.unit)} ({ratio_text(found, last)})"
        )
    if found.exact:
        n = len(found.points)
        return f"the same in all {n} runs" if n > 1 else "a single run, and nothing to compare with"
    enough = len(found.points) >= 6
    return "no change" if enough else "too few runs to distinguish a change from chance; it takes 6"


def _trend_table(found: Trend, width: int) -> Table:
    first = max(0, len(found.points) - MOST_RUNS)
    points = found.points[first:]
    low = min(p.value if p.ci_low is None else p.ci_low for p in points)
    high = max(p.value if p.ci_high is None else p.ci_high for p in points)
    starts = {change.at: change for change in found.changes}
    table = _table("run", "when", metrics.title(found.metric), "", "")
    for column in table.columns:
        column.no_wrap = True
    table.columns[2].justify = "right"
    strip = STRIP if width >= 110 else 16
    for i, p in enumerate(points, first):
        change = starts.get(i)
        table.add_row(
            plain(shorten(p.run_id, 24)),
            units.moment(p.started_at)[:16],
            shown(found.metric, p.value, found.unit),
            Text(_strip(p.ci_low, p.value, p.ci_high, (low, high), strip), style=GOOD),
            Text(f"◂ {ratio_text(found, change)}" if change else "", style=DOUBT),
        )
    return table


def _strip(
    ci_low: float | None,
    value: float,
    ci_high: float | None,
    ends: tuple[float, float],
    cells: int,
) -> str:
    """`  ├──●───┤   ` between the ends of the scale."""
    low, high = ends

    def at(v: float) -> int:
        return round((v - low) / (high - low) * (cells - 1)) if high > low else cells // 2

    line = [" "] * cells
    if ci_low is not None and ci_high is not None:
        a, b = at(ci_low), at(ci_high)
        line[a : b + 1] = ["─"] * (b - a + 1)
        line[a], line[b] = "├", "┤"
    line[at(value)] = "●"
    return "".join(line)


def _trouble(run: RunLine) -> str:
    return ", ".join(f"{n} {status}" for status, n in run.statuses.items() if status != "ok")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _short(names: Sequence[str]) -> list[str]:
    return [shorten(units.name(name), 24) for name in names]


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head)
    return table


def _print(console: Console, part: Any) -> None:
    console.print(part, highlight=False, markup=False, emoji=False)


# --- page ------------------------------------------------------------------------------------


def page(
    runs: Sequence[RunLine], trends: Sequence[Trend], skipped: Sequence[Skipped], tool: str
) -> bytes:
    """The same as one self-contained HTML file."""
    from harness.renderers import html_page as pages
    from harness.renderers.board import board
    from harness.renderers.html_page import figures

    chosen = _chosen(trends)
    shown = [trends[i] for i in chosen]
    drawn = figures.draw([trend_charts.trend(found, i) for i, found in enumerate(shown)])
    anchors = {i: f"trend-{number}" for number, i in enumerate(chosen)}
    sections = [("board", "Board"), ("trends", "Trends")] if trends else []
    sections += [("runs", "Runs")] + ([("skipped", "Skipped")] if skipped else [])
    return pages.page(
        "history.html",
        {
            "tool": tool,
            "sections": sections,
            "metric": metrics.title(trends[0].metric) if trends else "",
            "lead": _EXACT if all(found.exact for found in trends) else _NOISY,
            "board": board(trends, anchors),
            "trends": [
                {"chart": chart, "lines": _lines(found)}
                for chart, found in zip(drawn, shown, strict=True)
            ],
            "left_out": _left_out(len(trends) - len(shown)),
            "runs": [_run(run) for run in reversed(runs)],
            "skipped": [
                {k: units.printable(getattr(s, k)) for k in ("path", "reason", "fix")}
                for s in skipped
            ],
        },
    )


def _chosen(trends: Sequence[Trend]) -> list[int]:
    """Which of them are drawn, in their order: those with a change first."""
    chosen: list[int] = []
    left = MOST_DRAWN
    for i in sorted(range(len(trends)), key=lambda i: not trends[i].changes)[:MOST_CHARTS]:
        left -= min(len(trends[i].points), trend_charts.MOST_POINTS)
        if chosen and left < 0:
            break
        chosen.append(i)
    return sorted(chosen)


def _left_out(count: int) -> str:
    if not count:
        return ""
    return (
        f"{count} more trends are not drawn, those without a change first; name a variant, or a "
        "pattern such as 'mobilenet*', to see its own."
    )


def plots(trends: Sequence[Trend], kind: Kind) -> dict[str, bytes]:
    """Every trend as a file of its own: `trend-0.svg`, ..., its title in it."""
    from harness.renderers import plots

    return plots.files((trend_charts.trend(found, i) for i, found in enumerate(trends)), kind)


def _lines(found: Trend) -> list[dict[str, Any]]:
    starts = {change.at: ratio_text(found, change) for change in found.changes}
    first = max(0, len(found.points) - trend_charts.MOST_POINTS)
    return [
        {
            "run_id": units.printable(found.points[i].run_id),
            "when": units.moment(found.points[i].started_at),
            "value": value_text(found, i),
            "suspect": found.points[i].status == "suspect",
            "change": starts.get(i, ""),
        }
        for i in reversed(range(first, len(found.points)))
    ]


def _run(run: RunLine) -> dict[str, str]:
    return {
        "run_id": units.printable(run.run_id),
        "started_at": units.printable(run.started_at),
        "when": units.moment(run.started_at),
        "cases": str(sum(run.statuses.values())),
        "trouble": _trouble(run),
        "devices": some([units.name(d) for d in run.devices], 4),
        "variants": some([units.name(v) for v in run.variants], 6),
    }
