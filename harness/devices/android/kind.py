"""A phone as a kind of device."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec.structs import replace

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError, HarnessError, UsageError
from harness.core.specs import AndroidSpec
from harness.core.types import Timing
from harness.devices import Asked, Settings, Target, Traits
from harness.devices.android import entry_rules, npu
from harness.devices.android.executable import LOCK, dialect_for
from harness.devices.runners import PHASES
from harness.system.files import in_folder


def traits(spec: AndroidSpec) -> Traits:
    """See Kind. An emulated phone is made for the run and stands for one that is elsewhere."""
    emulated = spec.transport == "emulated"
    return Traits(
        processors="borrows" if emulated else "none", may_be_away=True, at_lab="phone", proves=True
    )


def read_entry(spec: AndroidSpec, folder: Path | None) -> AndroidSpec:
    """See Kind."""
    if folder is not None:
        spec = _in_folder(spec, folder)
    entry_rules.check(spec)
    return spec


def _in_folder(spec: AndroidSpec, folder: Path) -> AndroidSpec:
    """With its paths as seen from the folder of devices.yaml."""
    if Path(spec.profile).suffix:  # a file; the names of shipped profiles have none
        spec = replace(spec, profile=str(in_folder(folder, spec.profile)))
    runner = spec.runner
    for key in ("path", "app", "dispatch", "compiler_plugin"):
        if named := getattr(runner, key):
            runner = replace(runner, **{key: str(in_folder(folder, named))})
    libraries = tuple(str(in_folder(folder, named)) for named in runner.libraries)
    runner = replace(runner, libraries=libraries)
    return replace(spec, runner=replace(runner, lock=str(in_folder(folder, runner.lock or LOCK))))


def settings(name: str, spec: AndroidSpec, asked: Asked) -> Settings:
    """See Kind."""
    if asked.runtimes is not None:
        raise UsageError(
            f"--runtime does not apply to device {name}",
            "a phone's runtime is its runner's; leave --runtime out",
        )
    _refuse_unknown_cores(asked)
    _refuse_what_takes_too_long(asked, name, spec)
    _refuse_what_the_runner_does_not(asked, name, spec)
    app = spec.runner.tool == "benchmark_app"
    if app:
        _refuse_what_the_app_does_not(asked, name, spec)
    npu.refuse_without_libraries(spec, dialect_for(spec.runner))
    return Settings(
        ("benchmark_model", "benchmark_app") if app else (spec.runner.tool,),
        asked.delegates or spec.delegate,
        asked.threads or spec.threads,
        accuracy=spec.accuracy == "device",
        affinities=("",) if isinstance(spec.affinity, str) else spec.affinity,
    )


def check(spec: AndroidSpec, attendant: Attendant) -> None:
    """See Kind. A phone that is asking its user for permission counts as reachable, with a message;
    an emulated phone is made for the run. Mistakes in devices.yaml that the phone shows are
    ConfigErrors."""
    from harness.devices.android import mistakes
    from harness.devices.android.inspection import state_of
    from harness.devices.android.link import quick_link

    mistakes.refuse_missing_file(spec.runner)
    if spec.transport == "emulated":
        return
    try:
        with quick_link(spec, attendant) as link:
            mistakes.refuse(spec, link)
            return
    except HarnessError as error:
        if state_of(error) != "unauthorized":
            raise
    attendant.say("not allowed yet; the phone asks again when measuring begins")


def held(spec: AndroidSpec) -> AbstractContextManager[None]:
    """See Kind. A phone is put back as it was when its target is closed."""
    return contextlib.nullcontext()


def open_target(name: str, spec: AndroidSpec, log_dir: Path, attendant: Attendant) -> Target:
    """See Kind."""
    from harness.devices.android import target

    return target.open_target(name, spec, log_dir, attendant)


def _refuse_unknown_cores(asked: Asked) -> None:
    for group in asked.affinity or ():
        try:
            entry_rules.check_affinity(group)
        except ConfigError as error:
            raise UsageError(f"--{error.message}", error.fix) from None


def _refuse_what_the_runner_does_not(asked: Asked, name: str, spec: AndroidSpec) -> None:
    options = [o for o, on in (("--profile", asked.profile), ("--parity", asked.parity)) if on]
    if spec.accuracy == "device":
        options.append("--accuracy device")
    if options and dialect_for(spec.runner) == "B":
        raise UsageError(
            f"{' and '.join(options)} need{'s' * (len(options) == 1)} the other benchmark_model, "
            f"dialect A, and the runner of {name} is of dialect B",
            f"write `dialect: A` below {name}: runner: in devices.yaml, or set runner.path to a "
            "build of it",
        )


def _refuse_what_the_app_does_not(asked: Asked, name: str, spec: AndroidSpec) -> None:
    options = {
        "--sustained": asked.sustained_s is not None,
        "--profile": asked.profile,
        "--parity": asked.parity,
        "--start cached": "cached" in asked.starts,
        "--accuracy device": spec.accuracy == "device",
        "affinity": spec.affinity != "all",
    }
    if given := [option for option, on in options.items() if on]:
        raise UsageError(
            f"{given[0]} does not go together with the benchmark app, the runner of {name}",
            f"write `tool: benchmark_model` below {name}: runner: in devices.yaml for it",
        )


def _refuse_what_takes_too_long(asked: Asked, name: str, spec: AndroidSpec) -> None:
    if asked.cadence_s is None:
        return
    least = asked.iterations or Timing().min_iterations
    if asked.cadence_s * least > spec.launch_timeout_s / PHASES:
        raise UsageError(
            f"{least} iterations at one per {asked.cadence_s:g} s take longer than a launch on "
            f"{name} may",
            "raise launch_timeout_s in devices.yaml, or lower --iterations",
        )
