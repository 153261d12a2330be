"""From a checked request to a report: build, evaluate, measure, assemble."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness import __version__
from harness.analysis.sequential import Decision, decide, rounds_at
from harness.core import units
from harness.core.errors import BuildError, UsageError
from harness.core.specs import ArmSpec, DeviceSpec
from harness.core.types import (
    SCHEMA_VERSION,
    Artifact,
    Case,
    Evaluation,
    Finding,
    Launch,
    Plan,
    Report,
    Stopped,
    Timing,
    Tool,
)
from harness.data.dataset import DEMO
from harness.measure import evaluate, lanes, schedule
from harness.measure.device_run import Enough
from harness.project import config
from harness.project.request import Job, Request, resolve
from harness.results import report as assemble
from harness.results import store
from harness.stats import accuracy
from harness.stats.summaries import launch_medians
from harness.system import files, interrupts
from harness.system.progress import Narrator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.dataset import Dataset

QUICK_TIMING = Timing(min_time_ns=100_000_000, warmup_time_ns=30_000_000)
DEFAULT_LAUNCHES, LEAST_LAUNCHES = 7, 5


def make_plan(job: Job, artifacts: Mapping[str, Artifact]) -> Plan:
    """The plan; how much is measured follows --quick, --launches and --time-budget."""
    request = job.request
    timing = QUICK_TIMING if request.quick else Timing()
    if request.iterations is not None:
        timing = msgspec.structs.replace(
            timing,
            min_time_ns=0,
            min_iterations=request.iterations,
            max_iterations=request.iterations,
        )
    timing = msgspec.structs.replace(
        timing,
        cadence_ns=_ns(request.cadence_s),
        sustained_ns=_ns(request.sustained_s),
        profile=request.profile,
        parity=request.parity,
    )
    launches = request.launches
    if request.sustained_s is not None:
        launches = 1  # each long enough to heat the phone, which cools before the next
    if launches is None and request.quick and request.time_budget_s is None:
        launches = LEAST_LAUNCHES
    least = DEFAULT_LAUNCHES if request.time_budget_s is None else LEAST_LAUNCHES
    return Plan(
        cases=schedule.cases(artifacts, job.settings),
        exact_devices=tuple(n for n, spec in job.devices.items() if isinstance(spec, ArmSpec)),
        exact_launches=request.launches or 1,
        seed=request.seed,
        launches=launches,
        min_launches=least,
        target_ci=request.target_ci,
        time_budget_s=60.0 if request.time_budget_s is None else request.time_budget_s,
        timing=timing,
        budget=request.budget,
        quick=request.quick,
        data=None if job.dataset is None else request.data or DEMO,
        untrained=request.untrained,
    )


def start(job: Job, narrator: Narrator) -> tuple[store.RunFolder, dict[str, Path]]:
    """Build what is missing, let it answer the labelled images, prepare inputs, and open a run
    folder."""
    if job.dataset is not None:
        narrator.tell(job.dataset.summary.lines())
    artifacts, unbuilt = build_artifacts(job, narrator, ready=_first_words(job, narrator))
    evaluations = evaluated(job, artifacts, narrator)
    planned = make_plan(job, artifacts)
    inputs = input_sets(artifacts, planned.seed, _shown(planned, job.dataset))
    header = Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="mobile-bench-harness", version=__version__),
        run_id=store.new_run_id(),
        started_at=_now(),
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
    return conclude(folder, _measured(folder, devices, inputs, narrator))


def _measured(
    folder: store.RunFolder,
    devices: Mapping[str, DeviceSpec],
    inputs: Mapping[str, Path],
    narrator: Narrator,
    enough: Enough | None = None,
) -> Stopped:
    narrator.expect(expected_launches(folder.header.plan))
    try:
        return lanes.measure(folder, devices, inputs, narrator, enough=enough)
    finally:
        folder.close()
        if any(isinstance(spec, ArmSpec) for spec in devices.values()):
            from harness.devices.arm64_core.target import let_go

            let_go()


def ab(
    request: Request, threshold: float, narrator: Narrator
) -> tuple[str, str, Report, Decision | None]:
    """(name of A, name of B, report, the last look): rounds until the question is decided or the
    time is up."""
    job = resolve(request, narrator.looking, narrator.attendant)
    folder, inputs = start(job, narrator)
    plan_of_two = msgspec.structs.replace(folder.header.plan, launches=None, target_ci=0.0)
    a, b = _two_cases(plan_of_two)
    folder.change_plan(plan_of_two)
    looks: list[Decision] = []

    def decided(launches: Mapping[Case, list[Launch]]) -> bool:
        rounds = list(zip(launch_medians(launches[a]), launch_medians(launches[b]), strict=False))
        look = len(looks) + 1
        if len(rounds) >= rounds_at(look):
            looks.append(decide(rounds, look=look, threshold=threshold))
        return bool(looks) and looks[-1].decided

    stopped = _measured(folder, job.devices, inputs, narrator, enough=decided)
    return a.variant, b.variant, conclude(folder, stopped), looks[-1] if looks else None


def _two_cases(planned: Plan) -> tuple[Case, Case]:
    if len(planned.cases) != 2:
        names = ", ".join(case.id for case in planned.cases)
        raise UsageError(f"ab compares two cases, not {names}", "name two variants, one device")
    return planned.cases[0], planned.cases[1]


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
    inputs = input_sets(artifacts, planned.seed, _shown_before(folder.header))
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
        report = assemble.assemble(folder.header, journal, stopped=stopped, finished_at=_now())
        store.write_report(folder.path, report)
    return report


def expected_launches(planned: Plan) -> dict[str, int]:
    """Per device, the launches that are surely made."""
    totals: dict[str, int] = {}
    for case in planned.cases:
        totals[case.device] = totals.get(case.device, 0) + schedule.least(planned, case.device)
    return totals


def build_artifacts(
    job: Job, narrator: Narrator, ready: Callable[[Artifact], None] | None = None
) -> tuple[dict[str, Artifact], tuple[Finding, ...]]:
    """(artifacts in the order asked for, a finding for each variant that could not be built).
    `ready` hears of each as soon as it is there."""
    from harness.artifacts import builder, representative

    cache = files.cache_dir()
    data = job.dataset
    built = builder.build(
        job.variants,
        job.project.variants,
        models_dir=job.project.models_dir,
        cache_dir=cache,
        data=data,
        seed=job.request.seed,
        progress=narrator.building,
        ready=ready,
    )
    images = representative.of_dataset(data) if data else representative.demo(seed=job.request.seed)
    artifacts = {**built.artifacts, **job.tflite}
    for name, path in job.keras_files.items():
        artifacts[name] = builder.build_keras_file(
            path,
            variant=name,
            cache_dir=cache,
            representative=images,
            seed=job.request.seed,
            progress=narrator.building,
        )
    if ready:
        for name in (*job.tflite, *job.keras_files):
            ready(artifacts[name])
    unbuilt = tuple(
        Finding(
            level="invalid",
            code="build-failed",
            message=f"{variant} could not be built: {failure.message}",
            mend=failure.mend,
        )
        for variant, failure in built.failures.items()
    )
    if not artifacts:
        raise BuildError(unbuilt[0].message, unbuilt[0].mend)
    return artifacts, unbuilt


def evaluated(
    job: Job, artifacts: Mapping[str, Artifact], narrator: Narrator
) -> tuple[Evaluation, ...]:
    """What each artifact and each float parent answered to the test split; nothing without
    labelled images. The demo images say nothing of a file that the user brought."""
    if job.dataset is None:
        return ()
    return _evaluate(job, {**artifacts, **_float_parents(job, artifacts, narrator)}, narrator)


def _evaluate(
    job: Job, artifacts: Mapping[str, Artifact], narrator: Narrator
) -> tuple[Evaluation, ...]:
    assert job.dataset is not None
    return evaluate.evaluate(
        artifacts,
        job.dataset,
        cache=files.cache_dir(),
        brought=job.request.data is not None,
        progress=narrator.evaluating,
    )


def _first_words(job: Job, narrator: Narrator) -> Callable[[Artifact], None]:
    """Tells the size and accuracy of an artifact once it is there, long before the table: training
    the others takes minutes. The answers are kept, so nothing is done twice."""
    names = [*job.variants, *job.tflite, *job.keras_files]
    width = max((len(units.name(name)) for name in names), default=0)

    def tell(artifact: Artifact) -> None:
        said = f"{units.name(artifact.variant):{width}}  {units.file_size(artifact.size_bytes):>8}"
        found = _evaluate(job, {artifact.variant: artifact}, narrator) if job.dataset else ()
        for evaluation in found:
            if evaluation.failure:
                said += f"  no accuracy: {units.printable(evaluation.failure.message)}"
            else:
                share = accuracy.accuracy(evaluation.right)
                said += f"  accuracy {units.share(share)}"
        narrator.say(said)

    return tell


def _float_parents(
    job: Job, artifacts: Mapping[str, Artifact], narrator: Narrator
) -> dict[str, Artifact]:
    """Artifacts that are not measured but whose answers others should reproduce. One that cannot
    be built only leaves the agreement absent, which says so."""
    names = {a.float_parent for a in artifacts.values() if a.trained is not False} - set(artifacts)
    wanted = {n: job.project.variants.variants[n] for n in sorted(filter(None, names))}
    if not wanted:
        return {}
    try:
        parents, _ = build_artifacts(
            job._replace(variants=wanted, tflite={}, keras_files={}), narrator
        )
    except BuildError:
        return {}
    return parents


class Shown(NamedTuple):
    """The images of the user's that models are timed on: the first of the test split. `images`
    reads them; the cache knows them by `fingerprint`."""

    source: str
    fingerprint: str
    images: Callable[[], NDArray[np.uint8]]


def input_sets(
    artifacts: Mapping[str, Artifact], seed: int, shown: Shown | None = None
) -> dict[str, Path]:
    """The input set of each artifact, made once and kept in the cache: of the images `shown`, else
    of demo images."""
    from harness.data.inputs import inputs_for

    known = {} if shown is None else shown._asdict()
    cache = files.cache_dir()
    return {name: inputs_for(a, cache, seed=seed, **known) for name, a in artifacts.items()}


def _shown(planned: Plan, dataset: Dataset | None) -> Shown | None:
    if dataset is None or planned.data in (None, DEMO):
        return None
    return Shown(dataset.name, dataset.fingerprint("test"), lambda: dataset.arrays("test")[0])


def _shown_before(header: Report) -> Shown | None:
    """What the run to go on with was timed on; the folder may have changed since, so that only
    the cache has it."""
    if header.data is None or header.plan.data in (None, DEMO):
        return None

    def gone() -> NDArray[np.uint8]:
        raise UsageError(
            "the images that the run was timed on are no longer in the cache", "start a new run"
        )

    return Shown(header.data.name, header.data.fingerprints["test"], gone)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
