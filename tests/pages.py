"""The HTML pages of the reports of `tests.reports`. Drawing one takes seconds, so each is drawn
once in a test session, by whichever of its processes asks first."""

from __future__ import annotations

from pathlib import Path

from harness.core.types import Report
from harness.renderers.formats import html
from harness.renderers.view import View
from harness.system import files, locks
from tests import reports

# Where they are, for all processes of the session; conftest.py says it.
folder = Path()

_MADE: dict[str, Report] = {}


def made(which: str) -> Report:
    """The report of that name, always the same one."""
    if which not in _MADE:
        _MADE[which] = reports.REPORTS[which]()
    return _MADE[which]


def page(which: str) -> bytes:
    """Its page."""
    path = folder / f"{which}.html"
    with locks.lock(path.with_suffix(".lock")):
        if not path.exists():
            files.write_atomic(path, html.render(View(made(which))))
    return path.read_bytes()


def page_of(report: Report) -> bytes:
    """The page of any report."""
    which = next((name for name, known in _MADE.items() if known is report), None)
    return html.render(View(report)) if which is None else page(which)
