"""Runs an artifact on a device as `bench` does, for a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.analysis import metric_specs
from harness.core.errors import HarnessError, MeasurementError
from harness.core.specs import DeviceSpec
from harness.core.types import Artifact, CaseReport, Measurement
from harness.devices import kind_of
from harness.measure import session
from harness.project.config import Project
from harness.project.request import Job, Request
from harness.system.progress import Narrator


class Quiet(Narrator):
    """Says nothing: a trial's launches are not what the user waits for."""

    def say(self, text: str) -> None:
        """Ignored."""

    def _show(self, line: str, text: str, done: int, total: int) -> None:
        """Ignored."""


def on_device(
    artifact: Artifact, name: str, spec: DeviceSpec, project: Project, *, out: Path, seed: int
) -> dict[str, Measurement]:
    """A quick run without labelled images, saved in `out`: every metric that has a number, the
    worst of several cases. Raises MeasurementError if the device gives none."""
    request = Request(devices=(name,), quick=True, untrained=True, out=out, seed=seed)
    settings = {name: kind_of(spec).settings(name, spec, request)}
    job = Job(request, project, {name: spec}, {}, {artifact.variant: artifact}, {}, settings)
    run = session.bench(job, Quiet())
    if run.report.stopped is not None and run.report.stopped.reason == "interrupted":
        raise KeyboardInterrupt
    for case in run.report.cases:
        if case.status in ("failed", "invalid"):
            failure = case.failure
            said = failure.message if failure else "its numbers must not be used"
            raise MeasurementError("measure", f"{name}: {said}", failure.fix if failure else "")
    return worst_of(run.report.cases)


def worst_of(cases: tuple[CaseReport, ...]) -> dict[str, Measurement]:
    """The highest cost of each metric over the cases."""
    found: dict[str, Measurement] = {}
    specs = metric_specs.specs()
    for metric, measurement in _measured(cases):
        known = found.get(metric)
        if known is None or known.point is None or measurement.point is None:
            found[metric] = measurement
            continue
        lower = specs[metric].direction == "lower"
        if (measurement.point > known.point) == lower:
            found[metric] = measurement
    return found


def _measured(cases: tuple[CaseReport, ...]) -> Iterator[tuple[str, Measurement]]:
    specs = metric_specs.specs()
    for case in cases:
        for metric, measurement in case.metrics.items():
            if measurement.point is not None and metric in specs and not specs[metric].labelled:
                yield metric, measurement


def counting_device(
    devices: Mapping[str, DeviceSpec], narrator: Any
) -> tuple[str, DeviceSpec] | None:
    """The first device that counts exactly and is set up; None if there is none."""
    for name, spec in devices.items():
        kind = kind_of(spec)
        if not kind.traits(spec).counts_exactly:
            continue
        try:
            kind.check(spec, narrator.attendant(name))
        except HarnessError:
            continue
        return name, spec
    return None
