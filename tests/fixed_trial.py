"""A trial of fixed length, as a host of a lab does it: for tests and benchmarks of the engine."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from harness.core.search import Trial
from harness.engine.lab.child import Desk
from harness.search.away import Answer
from harness.search.study import Asked
from tests.searches import judged


class Fixed(msgspec.Struct):
    """The trial, and how long it takes."""

    trial: Trial
    takes_s: float


def carry_out(arguments: bytes, desk: Desk) -> bytes:
    """Wait, unless it is to stop."""
    fixed = msgspec.json.decode(arguments, type=Fixed)
    desk.say(b"0.5")
    if desk.stopping.wait(fixed.takes_s):
        return msgspec.json.encode(Answer(trial=None))
    return msgspec.json.encode(Answer(trial=fixed.trial))


def arguments(takes_s: float) -> Callable[[Asked], bytes]:
    """For a Slot."""
    return lambda asked: msgspec.json.encode(Fixed(trial=judged(asked), takes_s=takes_s))
