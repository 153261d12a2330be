"""What scheduler, workers and clients must agree on, and the JSON that they exchange."""

from __future__ import annotations

from typing import Any

import msgspec

from harness import __version__
from harness.core.base import Failure, Value
from harness.core.errors import UsageError

# The version of the values below, of how files are sent, and of the meaning of tasks and events.
# Raise it with each change that an older side would misunderstand.
PROTOCOL = 1
VERSIONS = "lab_versions"  # the scheduler's handler that returns them


class Versions(Value, frozen=True):
    """What one side runs."""

    protocol: int
    harness: str
    distributed: str


class Task(Value, frozen=True):
    """A function of ours by name ("harness.measure.away:measure"), what it is called with, and
    which of a host's resources it uses meanwhile. `topic` is where its events go, `files` the
    SHA-256 of those that must be at the host. Tasks with the same `run` and `name` find what the
    earlier ones left. `apart` means in a process of its own."""

    key: str
    name: str
    run: str
    who: str
    function: str
    arguments: msgspec.Raw
    uses: dict[str, float]
    topic: str
    files: tuple[str, ...] = ()
    apart: bool = True


class Outcome(Value, frozen=True):
    """What a task answered, in JSON, or why it did not: exactly one is set."""

    answer: str | None = None
    failure: Failure | None = None


def own_versions() -> Versions:
    """What this side runs."""
    import distributed

    return Versions(protocol=PROTOCOL, harness=__version__, distributed=distributed.__version__)


def refuse_other(theirs: Any, own: Versions, where: str) -> None:
    """Raise UsageError, saying what to install, unless the lab at `where` runs what we run."""
    try:
        lab = msgspec.convert(theirs, Versions, strict=True)
    except msgspec.ValidationError:
        raise UsageError(
            f"what answers at {where} is not a lab of this harness, or one of a later release",
            "start one with `python -m harness lab start`",
        ) from None
    if lab == own:
        return
    if lab.harness != own.harness:
        said = f"the lab at {where} runs harness {lab.harness}, and this is {own.harness}"
    elif lab.distributed != own.distributed:
        said = f"the lab at {where} runs distributed {lab.distributed}, here is {own.distributed}"
    else:
        said = f"the lab at {where} speaks protocol {lab.protocol}, and this is {own.protocol}"
    raise UsageError(said, f"pip install '{to_install(lab)}' distributed=={lab.distributed}")


def to_install(lab: Versions) -> str:
    """The requirement that brings what the lab runs."""
    return f"mobile-bench-harness[lab]=={lab.harness}"
