"""From a checked job to a saved report: prepare, measure, assemble."""

from __future__ import annotations

import contextlib
import platform
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import __version__
from harness.analysis import fallback
from harness.core import units
from harness.core.errors import BuildError, UsageError
from harness.core.lab import LabDevice
from harness.core.specs import DeviceSpec
from harness.core.types import SCHEMA_VERSION, Case, Report, Stopped, Tool
from harness.devices import kind_of
from harness.engine import Engine
from harness.measure import device_images, lanes, mixed, prepare, schedule
from harness.measure.device_run import Enough
from harness.measure.planning import expected_launches, make_plan, what_the_test_decides
from harness.project import config, preflight
from harness.project.request import Job
from harness.results import report as assemble
from harness.results import store
from harness.system import files, interrupts
from harness.system.clock import now_iso
from harness.system.progress import Narrator


class SavedRun(NamedTuple):
    """A report, and the run folder that it was saved in."""

    report: Report
    folder: Path


class _Run(NamedTuple):
    """An open run folder, with everything that measuring the rest of its plan needs."""

    folder: store.RunFolder
    devices: Mapping[str, DeviceSpec]
    inputs: Mapping[str, Path]  # by variant


def bench(
    job: Job,
    narrator: Narrator,
    *,
    enough: Enough | None = None,
    all_must_build: bool = False,
    engine: Engine | None = None,
    opened: Callable[[str], None] | None = None,
) -> SavedRun:
    """Build what is missing, measure, and save a report whatever ended the measuring. `opened` is
    called with the id of the run once it has a folder.

    `enough`, if given, looks at a device's launches after every round and may end it. A variant
    that cannot be built becomes a finding; if `all_must_build` or none can, BuildError is raised
    before a run folder exists.
    """
    with _held(_here(job.devices, job.at_lab.values())):
        run = _begun(job, narrator, engine, all_must_build=all_must_build)
        if opened:
            opened(run.folder.header.run_id)
        return _carry_out(run, narrator, engine, enough)


def resume(
    path: Path,
    project: Path | None,
    narrator: Narrator,
    engine: Engine | None = None,
    *,
    wait_s: float | None = None,
) -> SavedRun:
    """Continue a run that ended early; what it saved is kept and not measured again.

    devices.yaml is read in `project`, or where the run read it; `wait_s` is of --wait. Raises
    UsageError if artifacts, images, devices or runtimes are no longer those that the run measured.
    """
    folder = store.reopen(path)
    with contextlib.closing(folder):
        devices = _devices_of(folder.header, project, wait_s)
        if folder.header.lab and engine is None:
            raise UsageError("the run measures at a lab", "give its address with --lab")
        here = _here(devices, folder.header.lab)
        with _held(here):
            _refuse_if_not_set_up(folder, here, narrator)
            device_images.refuse_if_gone(folder.header)
            run = _Run(folder, devices, _inputs_of(folder.header))
            return _carry_out(run, narrator, engine)


def again(
    run: SavedRun,
    cases: Collection[Case],
    project: Path | None,
    narrator: Narrator,
    engine: Engine | None = None,
    *,
    wait_s: float | None = None,
) -> SavedRun:
    """Measure some cases of a run once more, apart, in a run folder of their own: the same
    artifacts, inputs and plan; test images are not answered again."""
    first = store.read_header(run.folder)
    plan = msgspec.structs.replace(
        first.plan, cases=tuple(c for c in first.plan.cases if c in cases), accuracy_devices=()
    )
    header = msgspec.structs.replace(
        first, run_id=store.new_run_id(), started_at=now_iso("seconds"), plan=plan
    )
    of_run = _devices_of(first, project, wait_s)
    devices = {case.device: of_run[case.device] for case in plan.cases}
    with _held(_here(devices, header.lab)):
        folder = store.create(run.folder.parent, header)
        return _carry_out(_Run(folder, devices, _inputs_of(header)), narrator, engine)


def _here(devices: Mapping[str, DeviceSpec], at_lab: Iterable[LabDevice]) -> dict[str, DeviceSpec]:
    """The devices that are not at a lab."""
    away = {device.name for device in at_lab}
    return {name: spec for name, spec in devices.items() if name not in away}


def _carry_out(
    run: _Run, narrator: Narrator, engine: Engine | None, enough: Enough | None = None
) -> SavedRun:
    narrator.expect(expected_launches(run.folder.header.plan))
    with contextlib.closing(run.folder):
        stopped = lanes.measure(
            run.folder,
            run.devices,
            run.inputs,
            narrator,
            enough=enough,
            engine=engine,
            at_lab={device.name: device for device in run.folder.header.lab},
        )
    return SavedRun(_concluded(run.folder, stopped), run.folder.path)


@contextlib.contextmanager
def _held(devices: Mapping[str, DeviceSpec]) -> Iterator[None]:
    """Keep what these devices need from being removed, from before building until the run ends."""
    with contextlib.ExitStack() as stack:
        for spec in devices.values():
            stack.enter_context(kind_of(spec).held(spec))
        yield


def _begun(job: Job, narrator: Narrator, engine: Engine | None, *, all_must_build: bool) -> _Run:
    """Build what is missing, let it answer the labelled images, prepare inputs, and open a run
    folder."""
    if job.dataset is not None:
        lines = job.dataset.summary.lines()
        narrator.tell([*lines, *what_the_test_decides(job)])
    words = prepare.first_words(job, narrator)
    artifacts, unbuilt, parents = prepare.build_artifacts(
        job, narrator, ready=None if engine else words, engine=engine
    )
    if engine:  # they are there at once, and all answer before any result is printed
        prepare.evaluated(job, artifacts, parents, narrator, engine, decide=False)
        for artifact in artifacts.values():
            words(artifact)
    if unbuilt and all_must_build:
        raise BuildError(unbuilt[0].message, unbuilt[0].fix)
    # A comparison of two has no third row.
    more = mixed.NOTHING if all_must_build else mixed.added(job, artifacts, parents, narrator)
    artifacts |= more.artifacts
    evaluations = prepare.evaluated(job, artifacts, parents, narrator, engine)
    planned = make_plan(job, artifacts)
    narrator.tell(fallback.foreseen(artifacts.values(), planned.cases))
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
        command=tuple(map(units.printable, job.request.command)),  # a path may not be UTF-8
        project=str(job.project.folder),
        artifacts=tuple(artifacts.values()),
        data=None if job.dataset is None else job.dataset.summary,
        evaluations=evaluations,
        device_images=device_images.of_job(job, artifacts, evaluations),
        findings=(*unbuilt, *more.findings),
        lab=tuple(job.at_lab.values()),
    )
    return _Run(store.create(job.request.out, header), job.devices, inputs)


def _devices_of(
    header: Report, project: Path | None, wait_s: float | None
) -> dict[str, DeviceSpec]:
    """The devices that a saved run was planned on: their entries in devices.yaml, with what the
    command line asked for besides."""
    if project is None and header.project is not None:
        project = Path(header.project)
        if not project.is_dir():
            raise UsageError(
                f"the run read devices.yaml in {project}, which is gone",
                "name the folder that has it now with --project",
            )
    opened = config.load_project(project)
    of_hosts = {device.name: device.spec for device in header.lab}
    devices = {
        name: _on_cores_of(of_hosts.get(name) or opened.device(name), name, header)
        for name in dict.fromkeys(case.device for case in header.plan.cases)
    }
    return preflight.as_asked(devices, wait_s=wait_s)


def _on_cores_of(spec: DeviceSpec, name: str, header: Report) -> DeviceSpec:
    """The entry with the groups of cores that the run measures apart, which --affinity may have
    named."""
    of_device = (case.affinity for case in header.plan.cases if case.device == name)
    groups = tuple(dict.fromkeys(filter(None, of_device)))
    return msgspec.structs.replace(spec, affinity=groups) if groups else spec


def _inputs_of(header: Report) -> dict[str, Path]:
    """The input sets of a saved run; raises UsageError if an artifact is no longer the same."""
    artifacts = {a.variant: a for a in header.artifacts}
    for artifact in artifacts.values():
        if not Path(artifact.path).is_file() or files.sha256(artifact.path) != artifact.sha256:
            raise UsageError(
                f"{artifact.path} is no longer the file that the run measured",
                "start a new run",
            )
    return prepare.input_sets(artifacts, header.plan.seed, prepare.shown_before(header))


def _refuse_if_not_set_up(
    folder: store.RunFolder, devices: Mapping[str, DeviceSpec], narrator: Narrator
) -> None:
    """Raise UsageError if the environment of a device was removed since the run began. If it was
    never there, its cases have failed already, and the others continue."""
    planned, saved = folder.header.plan, folder.saved
    launched = Counter(launch.case for launch in saved.launches)
    for name, spec in devices.items():
        kind = kind_of(spec)
        if kind.traits(spec).may_be_away:
            continue
        ids = {case.id for case in planned.cases if case.device == name} - saved.failures.keys()
        if any(launched[i] < schedule.least(planned, name) for i in ids):
            kind.check(spec, narrator.attendant(name))


def _concluded(folder: store.RunFolder, stopped: Stopped) -> Report:
    """Assemble and save the report of what has been measured, even after a second Ctrl-C."""
    with interrupts.held():
        report = assemble.assemble(
            folder.header, folder.read(), stopped=stopped, finished_at=now_iso("seconds")
        )
        store.write_report(folder.path, report)
    return report
