"""Whether this machine is fit to measure on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.errors import UsageError
from harness.core.specs import HostSpec, kind_name
from harness.core.types import Finding
from harness.core.units import file_size, percent, significant
from harness.devices import Probe
from harness.devices.findings import fine, serious, warning
from harness.devices.host import linux
from harness.devices.host.target import runtime_version
from harness.system import causes, processors
from harness.system.files import current_folder

LEAST_FREE_BYTES = 500_000_000
LOOK_S = 1.0
BUSY_SHARE = 0.1  # of all processors, by other programs


def probe(name: str, spec: HostSpec, attendant: Attendant) -> Probe:
    """See Inspection."""
    return Probe(name=name, kind=kind_name(spec), state="ready", where="this machine")


def prove(spec: HostSpec, attendant: Attendant) -> str:
    """See Inspection. Its traits say that there is nothing to prove."""
    raise NotImplementedError


def examine(name: str, spec: HostSpec, log_dir: Path, attendant: Attendant) -> list[Finding]:
    """See Inspection."""
    return [_runtime(spec), *_host_findings()]


def _runtime(spec: HostSpec) -> Finding:
    try:
        return fine("runtime", f"{spec.runtime} {runtime_version(spec.runtime, spec)}")
    except UsageError as error:
        causes.tell(error)
        return serious("runtime", error)


def _host_findings() -> list[Finding]:
    facts = linux.facts()
    return [_load(), _governor(facts), *_machine(facts), _power(), _disk()]


def _load() -> Finding:
    watch = linux.Watch()
    time.sleep(LOOK_S)
    now = watch.now()
    share, load = now.other_cpu_share, now.load_average
    if share is None:
        return warning("load", "this system does not report how busy it is", "close other programs")
    said = f"other programs use {percent(share)} of {processors.usable()} processors"
    if load is not None:
        said += f", load average {significant(load)}"
    if share > BUSY_SHARE:
        return warning("load", said, "close other programs, or measure when the machine is idle")
    return fine("load", said)


def _governor(facts: Mapping[str, str]) -> Finding:
    governor = facts.get("governor")
    if governor is None:
        return fine("governor", "this system does not show its clock governor")
    if governor != "performance":
        return warning(
            "governor",
            f"the clock follows the load (governor {governor})",
            "sudo cpupower frequency-set -g performance",
        )
    return fine("governor", "performance")


def _machine(facts: Mapping[str, str]) -> list[Finding]:
    found = []
    if facts.get("virtual_machine") == "yes":
        found.append(
            warning(
                "virtual-machine",
                "this is a virtual machine: other load on its computer cannot be seen",
                "compare within one run, where rounds are paired; or use a machine that is not "
                "virtual",
            )
        )
    if facts.get("smt") == "1":
        found.append(
            warning(
                "smt",
                "two threads share a core (SMT)",
                "echo off | sudo tee /sys/devices/system/cpu/smt/control",
            )
        )
    return found or [fine("machine", "no virtual machine, no shared cores")]


def _power() -> Finding:
    if linux.on_battery():
        return warning("power", "on battery, which lowers the clock", "plug the machine in")
    return fine("power", "not on battery")


def _disk() -> Finding:
    here = current_folder()
    if here is None:
        return warning("disk", "the current folder has been removed", "change into another")
    free = shutil.disk_usage(here).free
    if free < LEAST_FREE_BYTES:
        return warning("disk", f"only {file_size(free)} free here", "free some space")
    return fine("disk", f"{file_size(free)} free here")
