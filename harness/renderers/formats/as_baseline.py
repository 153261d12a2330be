"""The report as a baseline for version control. It leaves out what only says where it was made:
folders, the command, and, where everything was counted on an emulated core, the host."""

from __future__ import annotations

from pathlib import PurePath

import msgspec

from harness.core.serial import encode
from harness.core.types import Artifact, CaseReport, Launch
from harness.renderers.view import View

_replace = msgspec.structs.replace


def render(view: View) -> bytes:
    """The report's JSON as `report` and `--baseline` read it. Times of the host are only compared
    on the same host, so then its facts stay."""
    report = view.report
    counted = set(report.plan.exact_devices)
    cases = (_counts(case) if case.device in counted else case for case in report.cases)
    all_counted = all(case.device in counted for case in report.cases)
    return encode(
        _replace(
            report,
            host={} if all_counted else report.host,
            command=(),
            project=None,
            cases=tuple(cases),
            artifacts=tuple(map(_named, report.artifacts)),
            verdict=None,
            comparison=None,
        )
    )


def _counts(case: CaseReport) -> CaseReport:
    """Only known metrics: for a core that measures no time, the others would be a page of
    reasons."""
    known = {name: m for name, m in case.metrics.items() if m.point is not None}
    return _replace(case, metrics=known, launches=tuple(map(_bare, case.launches)))


def _bare(launch: Launch) -> Launch:
    return _replace(launch, outputs=None, reference=None, absent={})


def _named(artifact: Artifact) -> Artifact:
    return _replace(artifact, path=PurePath(artifact.path).name)
