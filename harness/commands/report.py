"""Render a saved run again, in any format, from its saved files alone.

If the run was cut off (kill -9, a power cut), the report shows what it had saved, and says that it
is not finished."""

from __future__ import annotations

import argparse

from harness.commands import _arguments, _output

HELP = "render a saved run again"
EXAMPLE = "python -m harness report latest --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the formats."""
    parser.add_argument("saved", metavar="RUN", help="run id or its start, folder, file or latest")
    _arguments.add_verdict(parser)
    parser.add_argument("--strict", action="store_true", help="exit 4 if the verdict is undecided")
    _arguments.add_out(parser)
    _output.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read and render; with options of the verdict, the saved results are judged again."""
    from harness.analysis import gate
    from harness.results import load
    from harness.results.report import judged_again

    report = judged_again(
        load.read(args.saved, args.out), args.max_accuracy_loss, args.protect, args.prefer
    )
    written = _output.emit(report, args, _output.asked(args, report))
    return (gate.verdict_exit_code(report, strict=True) if args.strict else 0) or written
