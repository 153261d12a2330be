"""Whether the emulated core is set up. It counts and does not time, so a busy machine is fine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import ArmSpec, kind_name
from harness.core.types import Finding
from harness.core.units import file_size
from harness.devices import Probe
from harness.devices.arm64_core import installation
from harness.devices.arm64_core.target import ready
from harness.devices.findings import fine, serious, warning
from harness.system import causes
from harness.system.files import cache_dir


def probe(name: str, spec: ArmSpec, attendant: Attendant) -> Probe:
    """See Inspection."""
    found = Probe(
        name=name,
        kind=kind_name(spec),
        state="ready",
        where=f"this machine: {spec.cpu}",
        abi="arm64-v8a",
        emulated=True,
    )
    try:
        ready(spec)
    except UsageError as error:
        causes.tell(error)
        return msgspec.structs.replace(found, state="absent", error=error.message, fix=error.fix)
    return found


def prove(spec: ArmSpec, attendant: Attendant) -> str:
    """See Inspection. Its traits say that there is nothing to prove."""
    raise NotImplementedError


def examine(name: str, spec: ArmSpec, log_dir: Path, attendant: Attendant) -> list[Finding]:
    """See Inspection. Reads every file of the environment."""
    cache = cache_dir()
    try:
        env = ready(spec, thorough=True)
    except UsageError as error:
        causes.tell(error)
        core = serious("core", error)
    else:
        core = fine(
            "core",
            f"{spec.cpu} under qemu {env.qemu.version}, litert {env.lock.litert}, "
            f"{file_size(installation.size_bytes(cache))} in {cache}",
        )
    if not (left := installation.leftover_bytes(cache)):
        return [core]
    said = f"a set-up that was interrupted left {file_size(left)}"
    return [core, warning("leftover", said, "python -m harness setup arm64 clears it")]
