"""This machine as a kind of device."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import HostSpec
from harness.devices import Asked, Settings, Target, Traits
from harness.devices.host import target
from harness.devices.refusals import only_phones
from harness.system.files import in_folder


def traits(spec: HostSpec) -> Traits:
    """See Kind."""
    return Traits(processors="measures")


def read_entry(spec: HostSpec, folder: Path | None) -> HostSpec:
    """See Kind. A `python:` without a slash is looked for on the PATH."""
    if folder is None:
        return spec
    python = {
        runtime: str(in_folder(folder, command)) if Path(command).name != command else command
        for runtime, command in spec.python.items()
    }
    return msgspec.structs.replace(spec, python=python)


def settings(name: str, spec: HostSpec, asked: Asked) -> Settings:
    """See Kind."""
    runtimes = asked.runtimes or (spec.runtime,)
    for runtime in runtimes:
        target.runtime_version(runtime, spec)
    if set(asked.delegates or ("cpu",)) != {"cpu"}:
        raise UsageError(
            f"device {name} runs on the CPU only", "--delegate is for phones; leave it out"
        )
    if "cached" in asked.starts and set(runtimes) != {target.COMPILED}:
        raise UsageError(
            f"device {name} makes no cached starts with {runtimes[0]}, which keeps no cache",
            "add --runtime litert-compiled, or leave --start cached out",
        )
    only_phones(name, asked, starts=True)
    return Settings(runtimes, ("cpu",), asked.threads or spec.threads)


def check(spec: HostSpec, attendant: Attendant) -> None:
    """See Kind. This machine can always be reached."""


def held(spec: HostSpec) -> AbstractContextManager[None]:
    """See Kind. Nothing needs protection from being removed."""
    return contextlib.nullcontext()


def open_target(name: str, spec: HostSpec, log_dir: Path, attendant: Attendant) -> Target:
    """See Kind."""
    return target.open_target(name, spec, log_dir, attendant)
