"""What was measured, over time: the runs of a folder, or one variant's trend with its changes.

Without VARIANT the runs are listed. With it (a name or a pattern such as 'mobilenet*') its metric
is shown run by run, on each device, with the interval and with the places where it changed by
more than chance explains.
"""

from __future__ import annotations

import argparse

from harness.commands import add_out
from harness.core.errors import EXIT_OK

HELP = "what was measured, over time"
EXAMPLE = "python -m harness history mobilenet-int8 --device host --html trend.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, and where."""
    parser.add_argument("variant", nargs="?", metavar="VARIANT", help="name or pattern")
    parser.add_argument("--device", default="*", metavar="NAME", help="name or pattern")
    parser.add_argument("--metric", default="latency", metavar="NAME", help="default: latency")
    parser.add_argument("--html", metavar="FILE", help="write a page; - for standard output")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    """Read, show."""
    import sys
    from pathlib import Path

    from rich.console import Console

    from harness import __version__, history
    from harness.core.errors import UsageError
    from harness.files import write_atomic
    from harness.renderers import _history as renderer

    past = history.scan(args.out)
    lines = [run.line for run in past.runs]
    trends = []
    if args.variant is not None or args.html:
        chosen = args.variant or "*"
        trends = history.trends(past, metric=args.metric, variant=chosen, device=args.device)
        if not trends and args.variant is not None:
            raise history.nothing(past, args.metric, args.variant, args.device)
    if args.html:
        data = renderer.page(lines, trends, past.skipped, f"mobile-bench-harness {__version__}")
        if args.html == "-":
            sys.stdout.buffer.write(data)
            return EXIT_OK
        try:
            write_atomic(Path(args.html), data)
        except OSError as error:
            raise UsageError(
                f"cannot write {args.html}: {error.strerror}", "name another"
            ) from None
    console = Console(highlight=False)
    if args.variant is not None:
        renderer.show_trends(trends, console)
        renderer.show_skipped(past.skipped, console)
    else:
        renderer.show_runs(lines, console)
        renderer.show_skipped(past.skipped, console)
    return EXIT_OK
