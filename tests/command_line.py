"""A command of the harness as a user gives it, carried out in this process: what it prints, its
exit status and the files it leaves. Where the process itself matters, as for signals, pipes,
terminals and what it imports, a test starts one."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from harness import cli
from harness.core.errors import EXIT_INTERRUPTED
from harness.system.interrupts import ENDING


def run(
    *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None, columns: int = 120
) -> subprocess.CompletedProcess[str]:
    """`python -m harness WORDS` in the folder `cwd`, without a terminal. An exception that would
    end the process has the same result: the traceback, and exit status 1."""
    command = ["harness", *map(str, words)]
    environment = {**os.environ, "COLUMNS": str(columns), **(env or {})}
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        _in(cwd),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        _kept(),
    ):
        status = _status()
    if status == EXIT_INTERRUPTED:  # the tests are what Ctrl-C was for
        raise KeyboardInterrupt
    texts = []
    for stream in (out, errors):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))
    return subprocess.CompletedProcess(command, status, *texts)


def _status() -> int:
    try:
        return cli.main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except Exception:
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Afterwards signals and the log are as before, whatever the command changed."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    logger = logging.getLogger("harness")
    level, listening, propagate = logger.level, logger.handlers[:], logger.propagate
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        logger.level, logger.handlers[:], logger.propagate = level, listening, propagate
