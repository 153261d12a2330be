"""Parse, call, print. Each subcommand is a file of harness/commands."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from harness import __version__
from harness.core.errors import EXIT_INTERRUPTED, EXIT_USAGE, HarnessError, UsageError
from harness.core.text import did_you_mean
from harness.system import causes, files, interrupts, plugins, streams

_DESCRIPTION = """\
Which model do I ship? Builds variants of a model, measures size, latency, memory and accuracy on
this machine or on phones, and answers with evidence.

exit status: 0 fine, 1 a gate said no, 2 wrong usage or configuration, 3 a measurement failed or
is invalid, 4 gate undecided (with --strict), 130 interrupted (Ctrl-C, SIGTERM, SIGHUP)"""


_NO_FOLDER = "the current folder has been removed; change into one that exists and run it again"


# A word that argparse takes for an option: not `-` and not a negative number.
_OPTION = re.compile(r"--?[A-Za-z]\S*")


class _Parser(argparse.ArgumentParser):
    """argparse's parser, with errors of one line that name the nearest word and where help is."""

    _words: Sequence[str] = ()

    def error(self, message: str) -> None:  # type: ignore[override]
        message = self._unknown_option() or message
        self.exit(EXIT_USAGE, f"error: {message}; see {self.prog} --help\n")

    def _unknown_option(self) -> str | None:
        """What to say if an option is unknown. It comes before any other error, because argparse
        takes the value of an unknown option for an argument, and complains of that."""
        own: Iterable[str] = takewhile(lambda word: word != "--", self._words)
        if self._subparsers:  # from the subcommand on, they are that one's
            own = takewhile(lambda word: word.startswith("-"), own)
        for name in (word.partition("=")[0] for word in own):
            if _OPTION.fullmatch(name) and name not in self._option_string_actions:
                fix = did_you_mean(name, self._option_string_actions)
                near = f"; {fix}" if fix.startswith("did you mean") else ""
                return f"unknown option {name!r}{near}"
        return None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        fix = did_you_mean(str(value), map(str, action.choices))
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"unknown command {value!r}; {fix}")
        if not action.option_strings:
            self.error(f"unknown value {value!r}; {fix}")
        raise argparse.ArgumentError(action, f"unknown value {value!r}; {fix}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # argparse lets the whole command line refuse what a subcommand does not know, and then
        # neither the nearest option nor the right help page can be named.
        self._words = args or ()
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unexpected argument {rest[0]!r}")
        return found, rest


def parser() -> argparse.ArgumentParser:
    """The whole command line, made without heavy imports."""
    top = _Parser(
        prog="python -m harness",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"mobile-bench-harness {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name in plugins.names("harness.commands"):
        module = plugins.load("harness.commands", name)
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(sub)
        sub.add_argument(
            "--verbose",
            action="store_true",
            help="also show what caused an error, and where the log of a child process is",
        )
        sub.set_defaults(run=module.run)
    top.set_defaults(whole=top)  # for the command `completion`
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; errors become one line on standard error. The
    status does not depend on whether the output could be written."""
    with streams.unbreakable(_tell):
        return _run(argv)


def _tell(error: object) -> None:
    print(f"error: {error}", file=sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else argv
    verbose = "--verbose" in words
    try:
        _refuse_empty(words)
        args = parser().parse_args(words)
        interrupts.end_like_ctrl_c()
        if verbose:
            _show_causes()
        return int(args.run(args))
    except HarnessError as error:
        _tell(error)
        if verbose:
            print("\n".join(causes.lines(error)), file=sys.stderr)
        return error.exit_code
    except FileNotFoundError:
        if files.current_folder() is not None:
            raise
        _tell(_NO_FOLDER)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise UsageError for an empty argument: most likely a shell variable that is not set, and as
    a path it would mean the current folder."""
    if "" in words or any(word.startswith("--") and word.endswith("=") for word in words):
        raise UsageError("an argument is empty", "leave it out, or set the variable it comes from")


def _show_causes() -> None:
    """Print also the causes of errors that do not end the command (see `system/causes.py`)."""
    import logging

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print(record.getMessage(), file=sys.stderr, flush=True)

    logger = logging.getLogger("harness")
    logger.setLevel(logging.INFO)
    logger.handlers[:] = [Printing()]
    logger.propagate = False
