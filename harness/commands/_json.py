"""--json for the commands whose result is not a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.commands import _output

_HELP = "write {what} as JSON; - for standard output"


def add_json(parser: argparse.ArgumentParser, what: str = "it", *, bare: bool = False) -> None:
    """--json FILE. With `bare`, --json alone means standard output, as it did before it took a
    file."""
    said = _HELP.format(what=what)
    if bare:
        said += ", which is also what --json alone means"
        parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help=said)
    else:
        parser.add_argument("--json", metavar="FILE", help=said)


def check(args: argparse.Namespace) -> None:
    """Raise UsageError unless the file can be written, before anything is done."""
    if args.json is not None:
        _output.check_file(args.json)


def write(args: argparse.Namespace, value: Any) -> bool:
    """Write `value` if it was asked for. True if it went to standard output; then nothing else may
    be written there."""
    if args.json is None:
        return False
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    if args.json == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return True
    _output.write(Path(args.json), data)
    return False
