"""From a checked job to a saved report: prepare, measure, assemble."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harness import __version__
from harness.core.errors import UsageError
from harness.core.specs import ArmSpec, DeviceSpec
from harness.core.types import SCHEMA_VERSION, Report, Stopped, Tool
from harness.measure import lanes, prepare, schedule
from harness.measure.device_run import Enough
from harness.measure.planning import expected_launches, make_plan
from harness.project import config
from harness.project.request import Job
from harness.results import report as assemble
from harness.results import store
from harness.system import files, interrupts
from harness.system.clock import now_iso
from harness.system.progress import Narrator


def start(job: Job, narrator: Narrator) -> tuple[store.RunFolder, dict[str, Path]]:
    """Build what is missing, let it answer the labelled images, prepare inputs, and open a run
    folder."""
    if job.dataset is not None:
        narrator.tell(job.dataset.summary.lines())
    artifacts, unbuilt = prepare.build_artifacts(
        job, narrator, ready=prepare.first_words(job, narrator)
    )
    evaluations = prepare.evaluated(job, artifacts, narrator)
    planned = make_plan(job, artifacts)
    inputs = prepare.input_sets(artifacts, planned.seed, prepare.shown_now(planned, job.dataset))
    header = Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="mobile-bench-harness", version=__version__),
        run_id=store.new_run_id(),
        started_at=now_iso("seconds"),
        host={
            "system": platform.platform(),
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        plan=planned,
        command=job.request.command,
        artifacts=tuple(artifacts.values()),
        data=None if job.dataset is None else job.dataset.summary,
        evaluations=evaluations,
        findings=unbuilt,
    )
    return store.create(job.request.out, header), inputs


def finish(
    folder: store.RunFolder,
    devices: Mapping[str, DeviceSpec],
    inputs: Mapping[str, Path],
    narrator: Narrator,
) -> Report:
    """Measure what the plan still wants, then write the report whatever ended the measuring."""
    return conclude(folder, measured(folder, devices, inputs, narrator))


def measured(
    folder: store.RunFolder,
    devices: Mapping[str, DeviceSpec],
    inputs: Mapping[str, Path],
    narrator: Narrator,
    enough: Enough | None = None,
) -> Stopped:
    """Measure what the plan still wants; `enough` may end a device early."""
    narrator.expect(expected_launches(folder.header.plan))
    try:
        return lanes.measure(folder, devices, inputs, narrator, enough=enough)
    finally:
        folder.close()
        if any(isinstance(spec, ArmSpec) for spec in devices.values()):
            from harness.devices.arm64_core.target import let_go

            let_go()


def resume(path: Path, project_dir: Path | None, narrator: Narrator) -> Report:
    """Go on with a run that ended early; what it saved is kept and not measured again."""
    folder = store.reopen(path)
    project = config.load_project(project_dir)
    planned = folder.header.plan
    devices = {c.device: project.device(c.device) for c in planned.cases}
    try:
        _refuse_if_not_set_up(folder, devices)
    except UsageError:
        folder.close()
        raise
    artifacts = {a.variant: a for a in folder.header.artifacts}
    for artifact in artifacts.values():
        if not Path(artifact.path).is_file() or files.sha256(artifact.path) != artifact.sha256:
            folder.close()
            raise UsageError(
                f"{artifact.path} is no longer the file that the run measured",
                "start a new run",
            )
    inputs = prepare.input_sets(artifacts, planned.seed, prepare.shown_before(folder.header))
    return finish(folder, devices, inputs, narrator)


def _refuse_if_not_set_up(folder: store.RunFolder, devices: Mapping[str, DeviceSpec]) -> None:
    """A core that is gone since the run began is a UsageError; one that was never there has been
    told of in its cases' failures, and the others go on."""
    planned, saved = folder.header.plan, folder.saved
    launched = Counter(launch.case for launch in saved.launches)
    for name, spec in devices.items():
        if not isinstance(spec, ArmSpec):
            continue
        ids = {case.id for case in planned.cases if case.device == name} - saved.failures.keys()
        if any(launched[i] < schedule.least(planned, name) for i in ids):
            from harness.devices.arm64_core.target import reserve

            reserve(spec)


def conclude(folder: store.RunFolder, stopped: Stopped) -> Report:
    """Assemble and save the report of what has been measured, which an impatient second Ctrl-C
    does not prevent."""
    with interrupts.held():
        journal = store.read_journal(folder.path / store.JOURNAL)
        now = now_iso("seconds")
        report = assemble.assemble(folder.header, journal, stopped=stopped, finished_at=now)
        store.write_report(folder.path, report)
    return report
