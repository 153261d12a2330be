"""List the devices in devices.yaml, which of them can be reached now, and how to fix the others.

Phones that are plugged in but have no entry are listed too, with the entry to write. Nothing is
measured, and nothing stays on a phone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.commands import _arguments, _json
from harness.core.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.devices import Probe

HELP = "what is configured, what is plugged in, what is wrong"
EXAMPLE = "python -m harness devices --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The format."""
    _json.add_json(parser, "an object per device", bare=True)
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Look, print. A phone that cannot be reached is not an error of this command."""
    from harness.devices.probe import probe_all
    from harness.project import config
    from harness.system.progress import Narrator

    _json.check(args)
    project = config.load_project(args.project)
    with Narrator() as narrator:
        probes = probe_all(project.devices, narrator.attendant)
    if not _json.write(args, probes):
        print("\n".join(lines(probes)))
    return EXIT_OK


def lines(probes: Sequence[Probe]) -> list[str]:
    """A line for each device, and below it how to fix what is wrong."""
    if not probes:
        return ["devices.yaml has no entry, and no phone is plugged in"]
    names = [p.name if p.configured else "(no entry)" for p in probes]
    wide, wider = max(map(len, names)), max(len(p.where) for p in probes)
    shown = []
    for name, p in zip(names, probes, strict=True):
        said = p.error or ", ".join(_about(p)) or "ready"
        shown.append(f"{name:{wide}}  {p.state:12}  {p.where:{wider}}  {said}".rstrip())
        if p.fix:
            shown.append(f"{'':{wide}}  -> {p.fix}")
    return shown


def _about(p: Probe) -> list[str]:
    emulated = "emulated" if p.emulated and "emulated" not in (p.model or "") else None
    battery = None if p.battery_percent is None else f"battery {p.battery_percent} %"
    hot = f"hot (thermal status {p.thermal_status})" if p.thermal_status else None
    held = None if p.held is None else f"in use by {p.held}"
    return [part for part in (p.model, p.os, p.abi, emulated, battery, hot, held) if part]
