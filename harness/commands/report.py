"""Render a saved run again, in any format, from what was saved and nothing else.

Of a run that was cut off (kill -9, a power cut) what it had saved is shown, and that it is not
finished."""

from __future__ import annotations

import argparse

from harness.commands import _output
from harness.commands._arguments import add_out

HELP = "render a saved run again"
EXAMPLE = "python -m harness report latest --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the formats."""
    parser.add_argument("saved", metavar="RUN", help="run id or its start, folder, file or latest")
    add_out(parser)
    _output.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, render."""
    from harness.results import load

    report = load.read(args.saved, args.out)
    return _output.emit(report, args, _output.asked(args, report))
