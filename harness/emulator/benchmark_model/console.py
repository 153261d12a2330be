"""The state that the phone passes to the tool, and how the tool prints and exits."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(os.environ.get("EMULATED_ROOT", "/nonexistent"))


def state(name: str, default: str) -> str:
    """What the emulated phone says about itself."""
    try:
        return (ROOT / "state" / name).read_text().strip() or default
    except OSError:
        return default


def say(text: str, level: str = "INFO") -> None:
    """Information and warnings on standard output, errors on standard error."""
    stream = sys.stderr if level in ("ERROR", "FATAL") else sys.stdout
    stream.write(f"{level}: {text}\n")
    stream.flush()


def log(text: str, level: str = "INFO") -> None:
    """What the runtime says, not the tool: it goes to standard error."""
    sys.stderr.write(f"{level}: {text}\n")
    sys.stderr.flush()


class Failed(Exception):
    """Ends the tool with status 1, after its message."""


def abort() -> NoReturn:
    """Die of SIGABRT, which a shell shows as 134."""
    sys.stdout.flush()
    os.abort()
