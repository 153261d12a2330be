"""Where rendered reports go: the table to standard output, files where the user asked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness import plugins
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.core.types import Report

TERMINAL = "terminal"


def formats() -> list[str]:
    """File formats, which are the renderers but the terminal's."""
    return [name for name in plugins.names("renderers") if name != TERMINAL]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json FILE`, `--csv FILE`, ...: one option per renderer."""
    group = parser.add_argument_group("output", "FILE may be - for standard output")
    for name in formats():
        group.add_argument(
            f"--{name.replace('_', '-')}", metavar="FILE", help=f"write the report as {name}"
        )
    group.add_argument("--plots", metavar="DIR", help="write every chart as an SVG file")
    group.add_argument("--wide", action="store_true", help="every column, whatever the width")
    group.add_argument("--sort", metavar="COLUMN", help="sort the table by this column")
    group.add_argument("--columns", metavar="LIST", help="show these columns, in this order")


def asked(args: argparse.Namespace) -> dict[str, str]:
    """Format -> file, as far as the user asked for any; a folder that is missing is an error."""
    wanted = {name: getattr(args, name) for name in formats() if getattr(args, name) is not None}
    if list(wanted.values()).count("-") > 1:
        raise UsageError("only one format can go to standard output", "name files for the others")
    for target in wanted.values():
        if target != "-" and (Path(target).is_dir() or not Path(target).parent.is_dir()):
            raise UsageError(f"cannot write {target}", "name a file in a folder that exists")
    if args.plots is not None and Path(args.plots).exists() and not Path(args.plots).is_dir():
        raise UsageError(f"{args.plots} is no folder", "name another with --plots")
    return wanted


def emit(report: Report, args: argparse.Namespace, wanted: dict[str, str]) -> None:
    """Write every format asked for, and the table unless standard output is taken."""
    for name, target in wanted.items():
        data = plugins.load("renderers", name).render(report)
        if target == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            _write(Path(target), data)
    if args.plots is not None:
        from harness.renderers._plots import plots

        for name, data in plots(report).items():
            _write(Path(args.plots) / name, data)
    if "-" not in wanted.values():
        table(report, args)


def _write(path: Path, data: bytes) -> None:
    from harness.files import write_atomic

    try:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "name another") from None


def table(report: Report, args: argparse.Namespace) -> None:
    """The terminal report on standard output."""
    from rich.console import Console

    plugins.load("renderers", TERMINAL).render_to(
        report,
        Console(highlight=False),
        wide=args.wide,
        sort=args.sort,
        columns=args.columns.split(",") if args.columns else None,
    )
