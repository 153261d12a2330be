"""Findings and failures, grouped where several cases have the same one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from harness.core import units
from harness.core.types import Failure, Finding, Level, Report

_LEVELS: dict[Level, int] = {"invalid": 0, "serious": 1, "warning": 2, "info": 3}


class Doubt(NamedTuple):
    """One message, who it is about (empty: the run as a whole), and what to do."""

    message: str
    fix: str
    about: tuple[str, ...]


class Doubts(NamedTuple):
    """All findings of one code and level."""

    level: Level
    code: str
    doubts: tuple[Doubt, ...]


def findings_of(report: Report, labels: Mapping[str, str]) -> list[Doubts]:
    """The findings of the run, its artifacts and its cases, worst first; equal ones together.
    `labels` are the cases' names by their ids."""
    told = {finding for case in report.cases for finding in case.findings}
    found: list[tuple[str, Finding]] = [("", f) for f in report.findings]
    found += [
        (units.name(artifact.variant), f)
        for artifact in report.artifacts
        for f in artifact.findings
        if f not in told
    ]
    found += [(labels[case.case.id], f) for case in report.cases for f in case.findings]
    return grouped(found)


def grouped(found: Iterable[tuple[str, Finding]]) -> list[Doubts]:
    """Findings with the cases that they are about (empty: all), worst first, equal ones grouped."""
    # The innermost is an ordered set: hundreds of cases may share a doubt.
    groups: dict[tuple[Level, str], dict[tuple[str, str], dict[str, None]]] = {}
    for about, finding in found:
        group = groups.setdefault((finding.level, finding.code), {})
        names = group.setdefault((finding.message, finding.fix), {})
        if about:
            names[about] = None
    return [
        Doubts(level, code, tuple(Doubt(m, d, tuple(names)) for (m, d), names in group.items()))
        for (level, code), group in sorted(groups.items(), key=lambda item: _LEVELS[item[0][0]])
    ]


def failures_of(report: Report, labels: Mapping[str, str]) -> list[tuple[Failure, list[str]]]:
    """Each way in which cases failed, with their labels, in the order of the cases."""
    alike: dict[Failure, list[str]] = {}
    for case in report.cases:
        if case.failure is not None:
            alike.setdefault(case.failure, []).append(labels[case.case.id])
    return list(alike.items())
