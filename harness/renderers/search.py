"""A search for people and programs: the front on a terminal, all trials as CSV, everything as
JSON, and a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.core import units
from harness.core.search import Candidate, SearchLine, SearchReport, Trial
from harness.core.serial import encode
from harness.core.text import count
from harness.renderers.table import DOUBT, GOOD, QUIET

MOST_ROWS = 20
_SPACE = " space"  # among the fixed options: there is a single entry
# How a search can end before its finalists, in words.
ENDS = {
    "trials": "all trials were done",
    "time_budget": "the time was up",
    "exhausted": "there was nothing left to try",
    "interrupted": "it was interrupted",
    "failed": "it failed",
}


def what(candidate: Candidate, *, fixed: Sequence[str] = ()) -> str:
    """In a line: `efficientnet_lite, cut block_9, input_size 192, int8`. What is `fixed` in the
    whole search is left out."""
    options = {**candidate.options, **candidate.recipe_options}
    said = [f"{name} {_value(v)}" for name, v in options.items() if name not in fixed]
    if _SPACE not in fixed:
        said.insert(0, candidate.space)
    return ", ".join(map(units.printable, [*said, candidate.recipe]))


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def fixed_options(report: SearchReport) -> list[str]:
    """Options that are the same in all trials, and the entry of the space if there is only one."""
    seen: dict[str, set[str]] = {}
    for trial in report.trials:
        for name, value in {**trial.candidate.options, **trial.candidate.recipe_options}.items():
            seen.setdefault(name, set()).add(repr(value))
    fixed = [name for name, values in seen.items() if len(values) == 1 and len(report.trials) > 1]
    return [*fixed, _SPACE] if len(report.header.space) == 1 else fixed


def line(trial: Trial, report: SearchReport, most: int | None) -> str:
    """A trial that has just ended."""
    of = f" of {most}" if most else ""
    said = f"trial {trial.number}{of}: {what(trial.candidate, fixed=fixed_options(report))}"
    if trial.state != "done":
        return f"{said}: {trial.state}, {units.printable(trial.reason)}"
    told = f"{units.file_size(trial.size_bytes)}, validation {units.ratio(trial.accuracy or 0)}"
    if missed := over(trial):
        return f"{said}: {told}, misses {missed}"
    on = ", on the front" if trial.number in report.front else ""
    return f"{said}: {told}{on}"


def over(trial: Trial) -> str:
    """The budgets that it misses."""
    return ", ".join(units.printable(text) for text, much in trial.over.items() if much > 0)


def front_line(report: SearchReport) -> str:
    """The front in a line, the smallest first."""
    points = [report.trial(number) for number in report.front]
    said = [f"{units.file_size(t.size_bytes)} {units.ratio(t.accuracy or 0)}" for t in points[-6:]]
    return "front: " + " · ".join(said)


def counts(report: SearchReport) -> str:
    """How many trials there were, and how many ended in which way."""
    parts = [
        f"{report.count('done')} judged on validation images",
        *_some(report.count("refused"), "over the budget before training"),
        *_some(report.count("stopped"), "ended early"),
        *_some(report.count("failed"), "failed"),
        *_some(report.count("unfinished"), "unfinished"),
    ]
    every = report.header.combinations
    of = "" if every is None else f" of {every:,} combination{'s' * (every != 1)}"
    return f"{count(len(report.trials), 'trial')} looked at{of}: {', '.join(parts)}"


def _some(number: int, text: str) -> list[str]:
    return [f"{number} {text}"] if number else []


def lines(report: SearchReport) -> list[str]:
    """What a reader needs to know besides the front."""
    header = report.header
    said = [counts(report)]
    if header.data is not None:
        said.append(
            f"judged on {header.data.count('validation'):,} validation images of "
            f"{units.printable(header.data.name)}; the {header.data.count('test'):,} test images "
            + ("judge the finalists" if report.verdict else "are not opened")
        )
    if header.counted_on is not None and any(t.instructions for t in report.trials):
        said.append(f"instructions were counted on {units.printable(header.counted_on)}")
    if report.stopped and report.stopped != "trials":
        said.append(f"it ended because {ENDS.get(report.stopped, report.stopped)}")
    if report.final is not None and report.final.finalists:
        names = ", ".join(report.final.finalists)
        said.append(f"finalists: {names}: {report.final.why}")
        if not header.asked.against:
            said.append(
                "compared only with each other; to see what a larger model would reach, name one "
                "with --against"
            )
    elif report.final is not None:
        said.append(f"there are no finalists: {report.final.why}")
    return said


def show(report: SearchReport, console: Console) -> None:
    """The front on a terminal, and what a reader needs to know about it."""
    header = report.header
    said = Text.assemble((header.search_id, "bold"), f"  {units.moment(header.started_at)}")
    if header.asked.budget:
        said.append(f"  {units.printable(header.asked.budget)}")
    _print(console, said)
    if report.front:
        _print(console, Text(""))
        _print(console, front_table(report, console.width))
        _print(console, Text(""))
    for text in lines(report):
        _print(console, Text(text, style=QUIET if report.front else DOUBT))
    if report.importance:
        shares = ", ".join(
            f"{short_option(name, report)} {share:.0%}" for name, share in _most(report.importance)
        )
        _print(console, Text(f"what mattered: {shares}", style=QUIET))


def short_option(name: str, report: SearchReport) -> str:
    """An option's name, without that of the entry where there is a single one."""
    (*_, last) = report.header.space if len(report.header.space) == 1 else ("",)
    return units.printable(name.removeprefix(f"{last}.") if last else name)


def _most(importance: dict[str, float], most: int = 5) -> list[tuple[str, float]]:
    return sorted(importance.items(), key=lambda item: -item[1])[:most]


def front_table(report: SearchReport, width: int) -> Table:
    """The front and finalists from behind it, the smallest first; finalists are marked."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    work = "instructions" if any(t.instructions for t in report.trials) else "macs"
    measured = measured_metrics(report)
    heads = ["front", "size", "validation", "instructions" if work == "instructions" else "MACs"]
    for place, head in enumerate([*heads, *measured]):
        table.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
    table.add_column("what")
    finalists = report.final.finalists if report.final else {}
    star = report.verdict.recommended if report.verdict else None
    fixed = fixed_options(report)
    shown = [report.trial(n) for n in {*report.front[-MOST_ROWS:], *finalists.values()}]
    for trial in sorted(shown, key=lambda t: (t.size_bytes or 0, t.number)):
        mark = "★ " if trial.name == star else "· " if trial.name in finalists else "  "
        worked = getattr(trial, work)
        table.add_row(
            Text(mark + trial.name, style=GOOD if trial.name == star else ""),
            units.file_size(trial.size_bytes),
            units.ratio(trial.accuracy or 0),
            units.ABSENT if worked is None else units.count(worked),
            *(_measured(trial, name) for name in measured),
            Text(what(trial.candidate, fixed=fixed)),
        )
    return table


def measured_metrics(report: SearchReport) -> list[str]:
    """The metrics of the budget that were measured on a device."""
    names = {n for t in report.trials for n in t.measured}
    budget = report.header.asked.budget or ""
    return [n for n in sorted(names) if n in budget and n not in ("instructions", "macs")]


def _measured(trial: Trial, name: str) -> str:
    from harness.analysis.metric_specs import shown

    m = trial.measured.get(name)
    return units.ABSENT if m is None or m.point is None else shown(name, m.point, m.unit)


def _print(console: Console, part: Text | Table) -> None:
    console.print(part, highlight=False, markup=False, emoji=False)


def show_list(found: Sequence[SearchLine], console: Console) -> None:
    """A list of searches, the latest last; nothing if there is none."""
    if not found:
        return
    _print(console, Text(""))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for head in ("search", "when", "trials", "front", "found", "budget"):
        table.add_column(head, no_wrap=True, justify="right" if head == "trials" else "left")
    for one in found[-MOST_ROWS:]:
        ended = one.recommended or (one.stopped if one.stopped == "interrupted" else "none")
        table.add_row(
            Text(units.printable(one.search_id)),
            units.moment(one.started_at)[:16],
            str(one.trials),
            str(one.front),
            Text(units.printable(ended)),
            Text(units.printable(one.budget)),
        )
    _print(console, table)
    if len(found) > MOST_ROWS:
        _print(console, Text(f"and {len(found) - MOST_ROWS} earlier ones", style=QUIET))


# --- files -----------------------------------------------------------------------------------


def as_json(report: SearchReport) -> bytes:
    """Everything."""
    return encode(report)


def as_csv(report: SearchReport) -> bytes:
    """A row per trial. Units are in the names of the columns; what is not known is empty."""
    options = dict.fromkeys(
        name for t in report.trials for name in (*t.candidate.options, *t.candidate.recipe_options)
    )
    measured = dict.fromkeys(name for t in report.trials for name in sorted(t.measured))
    units_of = {n: t.measured[n].unit for t in report.trials for n in t.measured}
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(
        ["trial", "state", "reason", "on_front", "keeps_budget", "space", "model", "recipe"]
        + [f"option_{name}" for name in options]
        + ["size_bytes", "parameters", "macs", "instructions", "validation_accuracy"]
        + ["validation_right", "validation_images", "took_s"]
        + [f"{name}_{units_of[name]}" if units_of[name] != "1" else name for name in measured]
    )
    for t in report.trials:
        of = {**t.candidate.options, **t.candidate.recipe_options}
        rows.writerow(
            [t.number, t.state, t.reason, t.number in report.front, t.keeps_budget]
            + [t.candidate.space, t.candidate.model, t.candidate.recipe]
            + [_value(of[name]) if name in of else "" for name in options]
            + [t.size_bytes, t.parameters, t.macs, t.instructions, t.accuracy]
            + [t.right, t.images, round(t.took_s, 3)]
            + [t.measured[n].point if n in t.measured else None for n in measured]
        )
    return out.getvalue().encode("utf-8", "backslashreplace")
