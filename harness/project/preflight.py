"""From a Request to a Job: everything that can be wrong with a request is found here, before
anything is built or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.analysis import metric_specs
from harness.analysis.budget import parse_budget
from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import AndroidSpec, ArmSpec, Delegate, DeviceSpec, HostSpec
from harness.core.types import Timing
from harness.data.dataset import DEMO
from harness.devices.runners import PHASES
from harness.devices.runners._download import dialect_for
from harness.project import config
from harness.project.request import KERAS, TFLITE, Job, Request
from harness.results import store
from harness.system import files
from harness.system.plugins import unknown

if TYPE_CHECKING:
    from harness.data.dataset import Dataset, Progress


def resolve(
    request: Request,
    looking: Progress | None = None,
    attendant: Callable[[str], Attendant] = lambda device: Attendant(),
) -> Job:
    """Check everything that can be checked without building; raises UsageError, writes nothing.
    `looking` hears how far a folder of images has been looked through, `attendant` of a device
    what it says, such as that its user is to allow this computer."""
    if request.sustained_s is not None and (
        request.launches or request.iterations or request.quick
    ):
        raise UsageError(
            "--sustained decides by itself how much is measured",
            "leave out --launches, --iterations and --quick",
        )
    for delegate in request.delegates or ():
        if delegate not in get_args(Delegate):
            raise unknown("delegate", delegate, get_args(Delegate))
    project = config.load_project(request.project, request.weights)
    names = request.devices
    if names == ("all",):
        names = tuple(project.devices)
    devices = {name: project.device(name) for name in names}
    tflite, keras, patterns = _sort(request.what)
    variants = project.select(patterns) if patterns or not request.what else {}
    _refuse_clashes(variants, tflite, keras)
    settings = {name: _settings(request, name, spec) for name, spec in devices.items()}
    from harness.artifacts.tflite.inspect import inspect_cached

    inspected = {
        name: inspect_cached(path, files.cache_dir(), variant=name, signature=request.signature)
        for name, path in tflite.items()
    }
    for path in keras.values():
        if not path.is_file():
            raise UsageError(f"there is no file {path}", "give a file that Keras saved")
    store.check_writable(request.out)
    _refuse_if_no_device_answers(devices, attendant)
    dataset = None
    if variants or keras or request.data is not None:
        dataset = labelled(
            request.data, untrained=request.untrained, seed=request.seed, looking=looking
        )
    job = Job(request, project, devices, variants, inspected, keras, settings, dataset)
    _check_budget(job)
    return job


def labelled(
    data: str | None, *, untrained: bool, seed: int, looking: Progress | None = None
) -> Dataset | None:
    """The labelled images: those asked for, else the demo images; None if nothing is trained.

    Raises UsageError if both were asked for, and what `open_dataset` raises.
    """
    if untrained and data is not None:
        raise UsageError("--data trains and --untrained does not", "give one of the two")
    if untrained:
        return None
    from harness.data.opening import open_dataset

    return open_dataset(data or DEMO, files.cache_dir(), seed=seed, progress=looking)


def _check_budget(job: Job) -> None:
    """Raise UsageError for a budget that cannot be read, or that nothing will be measured for."""
    if job.request.budget is None:
        return
    for budget in parse_budget(job.request.budget, metric_specs.specs()):
        if budget.spec.labelled and job.dataset is None:
            raise UsageError(
                f"{budget.text} needs labelled images", "give them with --data, or leave it out"
            )


def _refuse_if_no_device_answers(
    devices: Mapping[str, DeviceSpec], attendant: Callable[[str], Attendant]
) -> None:
    """Before anything is built for nobody; if one answers, the report tells of the others."""
    if all(isinstance(spec, AndroidSpec) for spec in devices.values()):
        from harness.devices.probe import unreachable

        with ThreadPoolExecutor(max_workers=len(devices)) as pool:
            looked = pool.map(lambda name: unreachable(devices[name], attendant(name)), devices)
            errors = dict(zip(devices, looked, strict=True))
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
        from harness.devices.host.target import runtime_version

        runtimes = request.runtimes or (spec.runtime,)
        for runtime in runtimes:
            runtime_version(runtime, spec)
        if set(request.delegates or ("cpu",)) != {"cpu"}:
            raise UsageError(
                f"device {name} runs on the CPU only", "--delegate is for phones; leave it out"
            )
        _refuse_what_only_phones_do(request, name)
        return runtimes, ("cpu",), request.threads or spec.threads
    if isinstance(spec, AndroidSpec):
        if request.runtimes is not None:
            raise UsageError(
                f"--runtime does not apply to device {name}",
                "a phone's runtime is its runner's; leave --runtime out",
            )
        _refuse_what_takes_too_long(request, name, spec)
        _refuse_what_the_runner_does_not(request, name, spec)
        return (
            (spec.runner.tool,),
            request.delegates or spec.delegate,
            request.threads or spec.threads,
        )
    return _settings_of_core(request, name, spec)


def _settings_of_core(
    request: Request, name: str, spec: ArmSpec
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    from harness.devices.arm64_core.target import reserve

    _refuse_what_only_phones_do(request, name)
    if others := sorted(set(request.runtimes or ()) - {"litert"}):
        raise UsageError(
            f"device {name} runs litert and not {', '.join(others)}",
            "measure the other runtimes in a run of their own, without this device",
        )
    if set(request.delegates or ("cpu",)) != {"cpu"} or set(request.threads or (1,)) != {1}:
        raise UsageError(
            f"device {name} is a single core without accelerators",
            "leave --threads and --delegate out",
        )
    try:
        reserve(spec)
    except UsageError:
        if request.devices != ("all",):  # of all, those that cannot be reached are told of
            raise
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


def _refuse_what_the_runner_does_not(request: Request, name: str, spec: AndroidSpec) -> None:
    asked = [o for o, on in (("--profile", request.profile), ("--parity", request.parity)) if on]
    if asked and dialect_for(spec.runner) == "B":
        raise UsageError(
            f"{' and '.join(asked)} need the other benchmark_model, dialect A, and the runner of "
            f"{name} is of dialect B",
            f"write `dialect: A` below {name}: runner: in devices.yaml, or set runner.path to a "
            "build of it",
        )


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
