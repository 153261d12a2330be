"""From a request to a report: resolve, build, measure, assemble.

Everything that can be wrong with a request is found before anything is built or written.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness import __version__, assemble, bench, config, evaluate, files, plan, store
from harness.core.budget import parse_budget
from harness.core.errors import BuildError, UsageError
from harness.core.sequential import Decision, decide, rounds_at
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec, VariantSpec
from harness.core.stats import launch_medians
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
from harness.progress import Narrator
from harness.runners import PHASES

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

QUICK_TIMING = Timing(min_time_ns=100_000_000, warmup_time_ns=30_000_000)
DEFAULT_LAUNCHES, LEAST_LAUNCHES = 7, 5
TFLITE, KERAS = ".tflite", ".keras"
DEMO = "demo"


class Request(NamedTuple):
    """What the user asked for; None means that it is left to the defaults or to devices.yaml."""

    what: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    runtimes: tuple[str, ...] | None = None
    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    launches: int | None = None
    iterations: int | None = None
    target_ci: float = 0.03
    time_budget_s: float | None = None
    quick: bool = False
    cadence_s: float | None = None
    sustained_s: float | None = None
    profile: bool = False
    parity: bool = False
    seed: int = 0
    data: str | None = None
    untrained: bool = False
    signature: str | None = None
    budget: str | None = None
    project: Path | None = None
    out: Path = Path("reports")
    command: tuple[str, ...] = ()


class Job(NamedTuple):
    """A request that has been checked against the project and this machine."""

    request: Request
    project: config.Project
    devices: dict[str, DeviceSpec]
    variants: dict[str, VariantSpec]
    tflite: dict[str, Artifact]
    keras_files: dict[str, Path]
    settings: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]]
    dataset: Dataset | None = None


def resolve(request: Request) -> Job:
    """Check everything that can be checked without building; raises UsageError, writes nothing."""
    project = config.load_project(request.project)
    names = request.devices
    if names == ("all",):
        names = tuple(project.devices)
    devices = {name: project.device(name) for name in names}
    tflite, keras, patterns = _sort(request.what)
    variants = project.select(patterns) if patterns or not request.what else {}
    _refuse_clashes(variants, tflite, keras)
    settings = {name: _settings(request, name, spec) for name, spec in devices.items()}
    from harness.build.inspect import inspect_cached

    inspected = {
        name: inspect_cached(path, files.cache_dir(), variant=name, signature=request.signature)
        for name, path in tflite.items()
    }
    for path in keras.values():
        if not path.is_file():
            raise UsageError(f"there is no file {path}", "give a file that Keras saved")
    store.check_writable(request.out)
    _refuse_if_no_device_answers(devices)
    dataset = _dataset(request, building=bool(variants or keras))
    job = Job(request, project, devices, variants, inspected, keras, settings, dataset)
    _check_budget(job)
    return job


def _dataset(request: Request, *, building: bool) -> Dataset | None:
    """The labelled images: those asked for, else the demo images where something is trained on
    them. None if nothing needs any."""
    if request.untrained:
        if request.data is not None:
            raise UsageError("--data trains and --untrained does not", "give one of the two")
        return None
    if request.data is None and not building:
        return None
    from harness.data.dataset import open_dataset

    return open_dataset(request.data or DEMO, files.cache_dir(), seed=request.seed)


# Metrics that only labelled images give.
_LABELLED = frozenset(
    {"accuracy", "balanced_accuracy", "auc", "log_loss", "calibration_error", "agreement"}
)


def _check_budget(job: Job) -> None:
    """Raise UsageError for a budget that cannot be read, or that nothing will be measured for."""
    if job.request.budget is None:
        return
    for budget in parse_budget(job.request.budget, assemble.specs()):
        if budget.spec.name in _LABELLED and job.dataset is None:
            raise UsageError(
                f"{budget.text} needs labelled images", "give them with --data, or leave it out"
            )


def _refuse_if_no_device_answers(devices: Mapping[str, DeviceSpec]) -> None:
    """Before anything is built for nobody; if one answers, the report tells of the others."""
    if all(isinstance(spec, AndroidSpec) for spec in devices.values()):
        from harness.devices import unreachable

        errors = {name: unreachable(spec) for name, spec in devices.items()}
        if all(errors.values()):
            name, error = next(iter(errors.items()))
            assert error is not None
            error.message = f"{name}: {error.message}"
            raise error


def _sort(what: tuple[str, ...]) -> tuple[dict[str, Path], dict[str, Path], list[str]]:
    """(.tflite files, .keras files, variant patterns); a file's row is named by its stem, or by
    its path where two files share one."""
    tflite: dict[str, Path] = {}
    keras: dict[str, Path] = {}
    patterns: list[str] = []
    for text in what:
        suffix = Path(text).suffix.lower()
        if suffix not in (TFLITE, KERAS):
            patterns.append(text)
            continue
        found = tflite if suffix == TFLITE else keras
        path = Path(text)
        if path in (*tflite.values(), *keras.values()):
            continue
        taken = path.stem in tflite or path.stem in keras
        found[text if taken else path.stem] = path
    return tflite, keras, patterns


def _refuse_clashes(*named: Mapping[str, object]) -> None:
    seen: set[str] = set()
    for names in named:
        if clash := seen & set(names):
            raise UsageError(
                f"two rows would be named {min(clash)!r}", "rename the file, or give it alone"
            )
        seen |= set(names)


def _settings(
    request: Request, name: str, spec: DeviceSpec
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    """(runtimes, delegates, threads) of one device; refuses what the device cannot do."""
    if isinstance(spec, HostSpec):
        from harness.targets.host import runtime_version

        runtimes = request.runtimes or (spec.runtime,)
        for runtime in runtimes:
            runtime_version(runtime, spec)
        if set(request.delegates or ("cpu",)) != {"cpu"}:
            raise UsageError(
                f"device {name} runs on the CPU only", "--delegate is for phones; leave it out"
            )
        _refuse_what_only_phones_do(request, name)
        return runtimes, ("cpu",), request.threads or spec.threads
    if request.runtimes is not None:
        raise UsageError(
            f"--runtime does not apply to device {name}",
            "a phone's runtime is its runner's; leave --runtime out",
        )
    if isinstance(spec, AndroidSpec):
        _refuse_what_takes_too_long(request, name, spec)
        return (
            (spec.runner.tool,),
            request.delegates or spec.delegate,
            request.threads or spec.threads,
        )
    return _settings_of_core(request, name, spec)


def _settings_of_core(
    request: Request, name: str, spec: ArmSpec
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    from harness.targets.arm64 import ready

    _refuse_what_only_phones_do(request, name)
    if set(request.delegates or ("cpu",)) != {"cpu"} or set(request.threads or (1,)) != {1}:
        raise UsageError(
            f"device {name} is a single core without accelerators",
            "leave --threads and --delegate out",
        )
    ready(spec)
    return ("litert",), ("cpu",), (1,)


def _refuse_what_only_phones_do(request: Request, name: str) -> None:
    options = {
        "--sustained": request.sustained_s,
        "--cadence": request.cadence_s,
        "--profile": request.profile or None,
        "--parity": (request.parity and set(request.devices) == {name}) or None,
    }
    for option, asked in options.items():
        if asked is not None:
            raise UsageError(f"device {name} cannot do {option}", f"{option} is for phones")


def _refuse_what_takes_too_long(request: Request, name: str, spec: AndroidSpec) -> None:
    if request.cadence_s is None:
        return
    least = request.iterations or Timing().min_iterations
    if request.cadence_s * least > spec.launch_timeout_s / PHASES:
        raise UsageError(
            f"{least} iterations at one per {request.cadence_s:g} s take longer than a launch on "
            f"{name} may",
            "raise launch_timeout_s in devices.yaml, or lower --iterations",
        )


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
        cases=plan.cases(artifacts, job.settings),
        exact_devices=tuple(n for n, spec in job.devices.items() if isinstance(spec, ArmSpec)),
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
    artifacts, unbuilt = build_artifacts(job, narrator)
    evaluations = evaluated(job, artifacts, narrator)
    inputs = input_sets(artifacts, job.request.seed)
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
        plan=make_plan(job, artifacts),
        command=job.request.command,
        artifacts=tuple(artifacts.values()),
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
    narrator.expect(expected_launches(folder.header.plan))
    try:
        stopped = bench.measure(folder, devices, inputs, narrator)
    finally:
        folder.close()
    return conclude(folder, stopped)


def ab(
    request: Request, threshold: float, narrator: Narrator
) -> tuple[str, str, Report, Decision | None]:
    """(name of A, name of B, report, the last look): rounds until the question is decided or the
    time is up."""
    job = resolve(request)
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

    narrator.expect(expected_launches(plan_of_two))
    try:
        stopped = bench.measure(folder, job.devices, inputs, narrator, enough=decided)
    finally:
        folder.close()
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
    artifacts = {a.variant: a for a in folder.header.artifacts}
    for artifact in artifacts.values():
        if not Path(artifact.path).is_file() or files.sha256(artifact.path) != artifact.sha256:
            folder.close()
            raise UsageError(
                f"{artifact.path} is no longer the file that the run measured",
                "start a new run",
            )
    return finish(folder, devices, input_sets(artifacts, planned.seed), narrator)


def conclude(folder: store.RunFolder, stopped: Stopped) -> Report:
    """Assemble and save the report of what has been measured."""
    journal = store.read_journal(folder.path / store.JOURNAL)
    report = assemble.assemble(folder.header, journal, stopped=stopped, finished_at=_now())
    store.write_report(folder.path, report)
    return report


def expected_launches(planned: Plan) -> dict[str, int]:
    """Per device, the launches that are surely made."""
    totals: dict[str, int] = {}
    for case in planned.cases:
        totals[case.device] = totals.get(case.device, 0) + plan.least(planned, case.device)
    return totals


def build_artifacts(
    job: Job, narrator: Narrator
) -> tuple[dict[str, Artifact], tuple[Finding, ...]]:
    """(artifacts in the order asked for, a finding for each variant that could not be built)."""
    from harness.build import builder, representative

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
    return evaluate.evaluate(
        {**artifacts, **_float_parents(job, artifacts, narrator)},
        job.dataset,
        cache=files.cache_dir(),
        brought=job.request.data is not None,
        progress=narrator.evaluating,
    )


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


def input_sets(artifacts: Mapping[str, Artifact], seed: int) -> dict[str, Path]:
    """The input set of each artifact, made once and kept in the cache."""
    from harness.data.inputs import inputs_for

    return {name: inputs_for(a, files.cache_dir(), seed=seed) for name, a in artifacts.items()}


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
