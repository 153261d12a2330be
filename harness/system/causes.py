"""Where an error came from, for `--verbose`. Code that catches an error and continues calls `tell`
first. That goes to the logger `harness`, which only the command line makes visible."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import harness
from harness.core.errors import HarnessError
from harness.core.text import clean

_ROOT = Path(harness.__file__).parents[1]


def lines(error: BaseException) -> list[str]:
    """Where the error was raised, what caused it, what caused that, and the log of the child
    process that failed."""
    found = [f"raised {_place(error)}"]
    seen, cause = {error}, _cause(error)
    while cause is not None and cause not in seen:
        said = clean(str(cause), 300)
        name = type(cause).__name__
        found.append(f"caused by {name}{f': {said}' if said else ''} ({_place(cause)})")
        seen.add(cause)
        cause = _cause(cause)
    if isinstance(error, HarnessError) and error.log:
        found.append(f"log: {error.log}")
    return found


def tell(error: HarnessError) -> None:
    """Log an error that does not end the command."""
    import logging

    logging.getLogger("harness").info("%s", "\n".join([f"error: {error}", *lines(error)]))


def _cause(error: BaseException) -> BaseException | None:
    # `from None` hides a cause from a traceback, but --verbose asks for it.
    return error.__cause__ or error.__context__


def _place(error: BaseException) -> str:
    frames: TracebackType | None = error.__traceback__
    if frames is None:
        return "elsewhere"
    while frames.tb_next is not None:
        frames = frames.tb_next
    file = Path(frames.tb_frame.f_code.co_filename)
    shown = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file
    return f"in {os.fspath(shown)}, line {frames.tb_lineno}"
