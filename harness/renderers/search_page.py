"""A search as one self-contained page."""

from __future__ import annotations

from typing import Any

from harness import __version__
from harness.core import units
from harness.core.search import SearchReport, Trial
from harness.renderers import html_page as pages
from harness.renderers import search
from harness.renderers.charts import search as drawn
from harness.renderers.html_page import figures

# The colour of a trial's badge.
_BADGES = {
    "on the front": "met",
    "done": "plain",
    "misses the budget": "missed",
    "refused": "missed",
    "stopped": "undecided",
    "failed": "failed",
    "unfinished": "undecided",
}


def page(report: SearchReport) -> bytes:
    """The page. Needs the extra `report`."""
    fixed = search.fixed_options(report)
    named = {t.number: search.what(t.candidate, fixed=fixed) for t in report.trials}
    charts = figures.draw(
        drawn.charts(report, named, lambda name: search.short_option(name, report))
    )
    header, verdict = report.header, report.verdict
    recommended = verdict.recommended if verdict else None
    work = "instructions" if any(t.instructions for t in report.trials) else "macs"
    return pages.page(
        "search.html",
        {
            "tool": f"mobile-bench-harness {__version__}",
            "sections": [
                ("verdict", "Verdict"),
                *([("how", "How it went")] if charts else []),
                ("trials", "Trials"),
            ],
            "search_id": header.search_id,
            "moment": units.moment(header.started_at),
            "budget": units.printable(header.asked.budget or ""),
            "judged": verdict is not None,
            "recommended": recommended,
            "headline": _headline(report, named),
            "reason": units.printable(verdict.reason) if verdict else "",
            "lines": search.lines(report)[1:],
            "counted": search.lines(report)[0],
            "run_id": report.final.run_id if report.final else None,
            "charts": charts,
            "work": "instructions" if work == "instructions" else "MACs",
            "trials": [_trial(t, report, named[t.number], work) for t in report.trials],
        },
    )


def _headline(report: SearchReport, named: dict[int, str]) -> str:
    verdict, final = report.verdict, report.final
    if verdict is None:
        return "Nothing was judged on test images" if not (final and final.run_id) else "One model"
    name = verdict.recommended
    if name is None:
        return "No model is recommended"
    number = final.finalists.get(name) if final else None
    return f"{units.name(name)}: {named[number]}" if number in named else units.name(name)


def _trial(trial: Trial, report: SearchReport, what: str, work: str) -> dict[str, Any]:
    state: str = trial.state
    if trial.state == "done" and trial.number in report.front:
        state = "on the front"
    elif trial.state == "done" and not trial.keeps_budget:
        state = "misses the budget"
    worked = getattr(trial, work)
    missed = f"misses {search.over(trial)}" if search.over(trial) else ""
    return {
        "number": trial.number,
        "state": state,
        "place": list(_BADGES).index(state),
        "badge": _BADGES[state],
        "size": units.ABSENT
        if trial.size_bytes is None
        else units.significant(trial.size_bytes / 1e6),
        "accuracy": units.ABSENT if trial.accuracy is None else units.ratio(trial.accuracy),
        "work": units.ABSENT if worked is None else units.count(worked),
        "took": f"{trial.took_s:.1f}",
        "exact": {
            "size": _exact(trial.size_bytes),
            "accuracy": _exact(trial.accuracy),
            "work": _exact(worked),
            "took": _exact(trial.took_s),
        },
        "what": what,
        "reason": units.printable(trial.reason) or missed,
    }


def _exact(value: float | None) -> str:
    return "" if value is None else units.exact(value)
