"""An emulated ARM64 core as a kind of device."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import ArmSpec
from harness.devices import Asked, Settings, Target, Traits
from harness.devices.refusals import only_phones
from harness.system.files import cache_dir


def traits(spec: ArmSpec) -> Traits:
    """See Kind. It uses this machine's processors like the host, although its own counts do not
    depend on other load."""
    return Traits(counts_exactly=True, processors="measures", at_lab="core")


def read_entry(spec: ArmSpec, folder: Path | None) -> ArmSpec:
    """See Kind. Which cores exist depends on the emulator, so `check` checks that."""
    return spec


def settings(name: str, spec: ArmSpec, asked: Asked) -> Settings:
    """See Kind."""
    only_phones(name, asked)
    if others := sorted(set(asked.runtimes or ()) - {"litert"}):
        raise UsageError(
            f"device {name} runs litert and not {', '.join(others)}",
            "measure the other runtimes in a run of their own, without this device",
        )
    if set(asked.delegates or ("cpu",)) != {"cpu"} or set(asked.threads or (1,)) != {1}:
        raise UsageError(
            f"device {name} is a single core without accelerators",
            "leave --threads and --delegate out",
        )
    return Settings(("litert",), ("cpu",), (1,))


def check(spec: ArmSpec, attendant: Attendant) -> None:
    """See Kind. Raises UsageError with what is missing and how to get it."""
    from harness.devices.arm64_core.target import ready

    ready(spec)


def held(spec: ArmSpec) -> AbstractContextManager[None]:
    """See Kind. `setup arm64 --remove` refuses meanwhile."""
    from harness.devices.arm64_core import installation

    return installation.held(cache_dir())


def open_target(name: str, spec: ArmSpec, log_dir: Path, attendant: Attendant) -> Target:
    """See Kind."""
    from harness.devices.arm64_core import target

    return target.open_target(name, spec, log_dir, attendant)
