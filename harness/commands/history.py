"""Show results over time: the runs of a folder, or the trend of a variant with its changes.

Without VARIANT, the runs are listed. With VARIANT (a name or a pattern such as 'mobilenet*'), its
metric is shown run by run on each device, with the interval, and with marks where it changed by
more than chance explains. With --metric or --device alone, this is shown for every variant.
"""

from __future__ import annotations

import argparse

from harness.commands import _json, _output
from harness.commands._arguments import add_out
from harness.core.errors import EXIT_OK, UsageError

HELP = "what was measured, over time"
EXAMPLE = "python -m harness history mobilenet-int8 --device host --html trend.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, and where."""
    parser.add_argument(
        "variant", nargs="?", metavar="VARIANT", help="a variant, or a pattern such as 'mobilenet*'"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="only this device; a name or a pattern (default: all)"
    )
    parser.add_argument("--metric", metavar="NAME", help="the metric to show (default: latency)")
    parser.add_argument("--html", metavar="FILE", help="write a page; - for standard output")
    _json.add_json(parser, "runs and trends")
    _output.add_plots(parser)
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    """Read, show."""
    import sys
    from pathlib import Path

    from harness import __version__
    from harness.renderers import history as renderer
    from harness.renderers import search as searches
    from harness.results import history

    _json.check(args)
    if args.html == args.json == "-":
        raise UsageError("only one format can go to standard output", "name a file for the other")
    if args.html is not None:
        _output.check_file(args.html)
        _output.check_packages("html")
    _output.check_plots(args)
    past = history.scan(args.out)
    lines = [run.line for run in past.runs]
    trends = []
    named = any(asked is not None for asked in (args.variant, args.metric, args.device))
    if named or args.html or args.plots or args.json:
        metric, variant, device = args.metric or "latency", args.variant or "*", args.device or "*"
        trends = history.trends(past, metric=metric, variant=variant, device=device)
        if not trends and named:
            raise history.nothing(past, metric, variant, device)
    if args.plots:
        for kind in _output.plot_kinds(args):
            _output.write_all(Path(args.plots), renderer.plots(trends, kind))
    told = {"runs": lines, "trends": trends, "searches": past.searches, "skipped": past.skipped}
    taken = _json.write(args, told)
    if args.html:
        data = renderer.page(lines, trends, past.skipped, f"mobile-bench-harness {__version__}")
        if args.html == "-":
            sys.stdout.buffer.write(data)
            return EXIT_OK
        _output.write(Path(args.html), data)
    if taken:
        return EXIT_OK
    console = _output.console()
    if named:
        renderer.show_trends(trends, console)
    else:
        renderer.show_runs(lines, console)
        searches.show_list(past.searches, console)
    renderer.show_skipped(past.skipped, console)
    return EXIT_OK
