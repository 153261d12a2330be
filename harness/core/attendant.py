"""Whoever attends to a device while it works."""

from __future__ import annotations

import threading


class Attendant:
    """Is told what a device does, and may want it to stop. This one listens to nothing; the
    command line's (`harness.system.progress`) shows it to a person.

    `stopping` may be set from any thread; the device's own thread then ends the call under way,
    however long that would have lasted, with KeyboardInterrupt; but not once it is being left.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._leaving = False

    def see_to_the_end(self) -> None:
        """The device is put back as it was: from here on nothing stops that."""
        self._leaving = True

    def say(self, text: str) -> None:
        """Something the person must know or do: a line that stays."""

    def show(self, text: str) -> None:
        """What the device is busy with: replaced by what comes next."""

    def wait(self, seconds: float) -> None:
        """Sleep; raises KeyboardInterrupt as soon as it is to stop."""
        if self._leaving:
            threading.Event().wait(seconds)
        elif self.stopping.wait(seconds):
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt if it is to stop."""
        if self.stopping.is_set() and not self._leaving:
            raise KeyboardInterrupt
