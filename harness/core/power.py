"""The power that a device drew, reading by reading."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Value

PowerSource = Literal["battery", "rails"]


class Drawn(Value, frozen=True):
    """Power in microwatts, reading by reading, of one source: the whole phone at its `battery`, or
    the power `rails` of processor, accelerators and memory. `idle_before` and `idle_after` are from
    before and after the load, `loaded` has the readings of each Minute of the launch while
    inferences were timed, and `ns_per_inference` the time per inference in that minute, pauses
    between inferences included. `unit` is that of the phone's own numbers."""

    source: PowerSource
    unit: str
    every_ns: int
    idle_before: tuple[int, ...]
    idle_after: tuple[int, ...]
    loaded: tuple[tuple[int, ...], ...]
    ns_per_inference: tuple[int, ...]
