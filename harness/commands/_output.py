"""Where rendered reports go: the table to standard output, formats to files that the user named.
`asked` finds every mistake in these options before anything is built or measured."""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.commands._arguments import comma_list
from harness.core.errors import EXIT_OK, EXIT_USAGE, UsageError
from harness.system import plugins

if TYPE_CHECKING:
    from rich.console import Console

    from harness.core.types import Report
    from harness.renderers.plots import Kind
    from harness.renderers.view import View

TERMINAL = "terminal"
# The help of the option of each format.
_WHAT = {
    "as_baseline": "the report as a baseline for version control",
    "bencher": "every metric, in Bencher Metric Format",
    "card": "a model card for the Hugging Face Hub",
    "csv": "every observed value, one per row",
    "csv_wide": "every metric with its statistics, one case per row",
    "gha_benchmark": "numbers for github-action-benchmark",
    "html": "one page with verdict, charts and a sortable table",
    "json": "the whole report, which the command `report` reads",
    "junit": "a test per case, for a CI system that reads JUnit XML",
    "markdown": "a summary for a pull request",
    "parquet": "every observed value, as Parquet",
    "trace": "the run on a time axis, for ui.perfetto.dev",
}


def formats() -> list[str]:
    """File formats: all renderers except the terminal's."""
    return [name for name in plugins.names("harness.renderers.formats") if name != TERMINAL]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json FILE`, `--csv FILE`, ...: one option per renderer; the charts; the table."""
    group = parser.add_argument_group("output", "FILE may be - for standard output")
    for name in formats():
        what = _WHAT.get(name, f"the report as {name}")
        group.add_argument(f"--{name.replace('_', '-')}", metavar="FILE", help=what)
    add_plots(group)
    group.add_argument(
        "--wide", action="store_true", help="show every column of the table, whatever its width"
    )
    group.add_argument(
        "--sort", metavar="COLUMN", help="sort the table by this column, the best first"
    )
    group.add_argument(
        "--columns", type=comma_list, metavar="LIST", help="show these columns, in this order"
    )


def add_plots(parser: argparse._ActionsContainer) -> None:
    """--plots and --plots-format, the same for every command that draws."""
    parser.add_argument("--plots", metavar="DIR", help="write every chart as a file")
    parser.add_argument(
        "--plots-format",
        type=comma_list,
        metavar="LIST",
        help="svg, png or both: svg,png (default: svg)",
    )


def asked(args: argparse.Namespace, report: Report | None = None) -> dict[str, str]:
    """Format -> file, for each format that was asked for. Raises UsageError if a file cannot be
    written, a package is missing, or a column does not exist (`report`, if given, may have columns
    of its own)."""
    wanted = {name: getattr(args, name) for name in formats() if getattr(args, name) is not None}
    twice = [target for target, n in Counter(wanted.values()).items() if n > 1]
    if "-" in twice:
        raise UsageError("only one format can go to standard output", "name files for the others")
    if twice:
        raise UsageError(f"two formats would be written to {twice[0]}", "name a file for each")
    for name, target in wanted.items():
        check_file(target)
        check_packages(name)
    check_plots(args)
    _check_columns(args, report)
    return wanted


def check_file(target: str) -> None:
    """Raise UsageError unless `target` is - or can become a file in a folder that exists."""
    path = Path(target)
    if target != "-" and (not target or path.is_dir() or not path.parent.is_dir()):
        raise UsageError(f"cannot write {target!r}", "name a file in a folder that exists")


def check_plots(args: argparse.Namespace) -> None:
    """Raise UsageError unless the charts can be drawn and written where the user asked."""
    if args.plots is None:
        if args.plots_format is not None:
            raise UsageError("--plots-format needs --plots", "name a folder with --plots")
        return
    from harness.renderers import optional, plots
    from harness.results.store import check_writable

    for kind in args.plots_format or ():
        if kind not in get_args(plots.Kind):
            raise plugins.unknown("format of plots", kind, get_args(plots.Kind))

    if not args.plots or (Path(args.plots).exists() and not Path(args.plots).is_dir()):
        raise UsageError(f"{args.plots!r} is not a folder", "name another with --plots")
    check_writable(Path(args.plots), "--plots")
    optional.check(plots.NEEDS)


def plot_kinds(args: argparse.Namespace) -> tuple[Kind, ...]:
    """The formats of charts asked for, else the first."""
    from harness.renderers.plots import Kind

    kinds: tuple[Kind, ...] = get_args(Kind)
    return tuple(k for k in kinds if k in args.plots_format) if args.plots_format else kinds[:1]


def check_packages(name: str) -> None:
    """Raise UsageError, which names the extra, if a package that the format needs is missing."""
    from harness.renderers.optional import check

    check(getattr(plugins.load("harness.renderers.formats", name), "NEEDS", ()))


def _check_columns(args: argparse.Namespace, report: Report | None) -> None:
    from harness.renderers import metrics

    known = metrics.columns_known(report)
    for name in args.columns or ():
        if name not in known:
            raise metrics.unknown_column(name, known)
    if args.sort is not None and args.sort not in metrics.sortable(report):
        raise metrics.unknown_column(args.sort, metrics.sortable(report))


def emit(report: Report, args: argparse.Namespace, wanted: dict[str, str]) -> int:
    """Write every format asked for, and the table unless a format goes to standard output. A file
    that cannot be written is an error on standard error; the others are still written. Returns
    EXIT_USAGE in that case, else EXIT_OK; a gate's exit status takes precedence over it."""
    from harness.renderers.view import View

    view = View(report)
    failed = False

    def written(write: Callable[[], None]) -> None:
        nonlocal failed
        try:
            write()
        except UsageError as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)

    for name, target in wanted.items():
        written(functools.partial(_emit_format, view, name, target))
    if args.plots is not None:
        written(functools.partial(_emit_plots, view, args))
    if "-" not in wanted.values():
        table(view, args)
    return EXIT_USAGE if failed else EXIT_OK


def _emit_format(view: View, name: str, target: str) -> None:
    data = plugins.load("harness.renderers.formats", name).render(view)
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write(Path(target), data)


def _emit_plots(view: View, args: argparse.Namespace) -> None:
    from harness.renderers.plots import plots

    for kind in plot_kinds(args):
        write_all(Path(args.plots), plots(view, kind))


def write_all(folder: Path, named: dict[str, bytes]) -> None:
    """Write files into a folder, which is made if it is missing."""
    for name, data in named.items():
        write(folder / name, data)


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. A pipe or a device is simply written to."""
    from harness.system.files import write_atomic

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            write_atomic(path, data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "name another") from None


def console() -> Console:
    """Standard output. On a terminal, in colour and as wide as the terminal (NO_COLOR is honoured);
    otherwise plain and always of the same width, whatever COLUMNS or FORCE_COLOR say."""
    from rich.console import Console

    from harness.renderers.formats.terminal import plain_console

    return Console(highlight=False) if sys.stdout.isatty() else plain_console(sys.stdout)


def table(view: View, args: argparse.Namespace) -> None:
    """The terminal report on standard output."""
    plugins.load("harness.renderers.formats", TERMINAL).render_to(
        view, console(), wide=args.wide, sort=args.sort, columns=args.columns
    )
