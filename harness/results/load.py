"""A saved run, whether or not it came to its end."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.text import command, count
from harness.core.types import Finding, Report
from harness.results import report as assemble
from harness.results import store


def read(run: str, out: Path) -> Report:
    """The report that `run` means: a path, a run id in `out` or a unique start of one, `latest`.
    For a run that was cut off, the report is of what its journal saved, with a finding that says
    so."""
    path = store.find(run, out)
    unfinished = path.is_dir() and not (path / store.REPORT).exists()
    if unfinished and (path / store.HEADER).exists():
        return _cut_off(path)
    # An older version's verdict may recommend a variant not shown to keep the accuracy.
    return assemble.judged_again(store.read_report(path))


def _cut_off(folder: Path) -> Report:
    header = store.read_header(folder)
    journal = store.read_journal(folder / store.JOURNAL)
    report = assemble.assemble(header, journal, stopped=None, finished_at=None)
    launches = count(len(journal.launches), "launch", "launches")
    finding = Finding(
        level="serious",
        code="unfinished",
        message=f"the run was cut off: this report is of the {launches} that it saved",
        fix=f"go on with {command('bench', '--resume', folder)}",
    )
    return msgspec.structs.replace(report, findings=(finding, *report.findings))
