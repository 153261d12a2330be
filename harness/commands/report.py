"""Render a saved run again, in any format, from what was saved and nothing else."""

from __future__ import annotations

import argparse

from harness import output
from harness.commands import add_out
from harness.core.errors import EXIT_OK

HELP = "render a saved run again"
EXAMPLE = "python -m harness report latest --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the formats."""
    parser.add_argument("saved", metavar="RUN", help="run id or its start, folder, file or latest")
    add_out(parser)
    output.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, render."""
    from harness import store

    wanted = output.asked(args)
    output.emit(store.read_report(store.find(args.saved, args.out)), args, wanted)
    return EXIT_OK
