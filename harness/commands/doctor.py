"""Is this machine, or this phone, fit to measure on?

Each thing is tried for real: what passes here passes in a run. A line says what was found; where
something is wrong, the next says what to do. Where phones are among the devices (without --device:
of devices.yaml), what the project could not yet prove on a real phone is listed at the end, and how
you can prove it on yours.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import _arguments
from harness.core.errors import EXIT_MEASUREMENT, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.types import Finding

HELP = "is this host or phone fit to measure on?"
EXAMPLE = "python -m harness doctor --device pixel"

MARKS = {"info": "ok", "warning": "!", "serious": "!!", "invalid": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which devices."""
    parser.add_argument(
        "--device",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="entries of devices.yaml, or all (default: host)",
    )
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Examine each; 3 if one of them cannot be measured on."""
    import tempfile

    from harness.devices.android.unproved import unproved
    from harness.devices.doctor import doctor
    from harness.project import config
    from harness.system.progress import Narrator

    project = config.load_project(args.project)
    specs = project.select_devices(args.device or ("host",))
    unfit = False
    with tempfile.TemporaryDirectory() as logs, Narrator() as narrator:
        for name, spec in specs.items():
            findings = doctor(name, spec, Path(logs), narrator.attendant(name))
            print("\n".join(lines(name, findings)), flush=True)
            unfit = unfit or any(f.level in ("serious", "invalid") for f in findings)
    for line in unproved(specs if args.device else project.devices):
        print(line)
    return EXIT_MEASUREMENT if unfit else EXIT_OK


def lines(name: str, findings: Sequence[Finding]) -> list[str]:
    """The device, and its findings below."""
    shown = [name]
    for finding in findings:
        shown.append(f"  {MARKS[finding.level]:2}  {finding.code}: {finding.message}")
        if finding.fix:
            shown.append(f"      -> {finding.fix}")
    return shown
