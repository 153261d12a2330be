"""Is this machine, or this phone, fit to measure on? There is one finding per check; `info` means
that nothing is wrong."""

from __future__ import annotations

from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.specs import DeviceSpec
from harness.core.types import Finding
from harness.devices import inspection_of


def doctor(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> list[Finding]:
    """Examine one device. Never raises HarnessErrors; nothing stays behind."""
    return inspection_of(spec).examine(name, spec, log_dir, attendant)
