"""Receives what a device reports while it works, and can stop it."""

from __future__ import annotations

import threading


class Attendant:
    """Receives what a device reports. This one ignores it; the command line's
    (`harness.system.progress`) shows it to the user.

    `stopping` may be set from any thread. The device's own thread then ends its current call at
    once with KeyboardInterrupt, unless the device is already being restored.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._leaving = False

    def begin_restoring(self) -> None:
        """From now on the device is being restored, and nothing stops that."""
        self._leaving = True

    def say(self, text: str) -> None:
        """Show a line that stays: something that the user must know or do."""

    def show(self, text: str) -> None:
        """Show what the device is doing; the next call replaces it."""

    def wait(self, seconds: float) -> None:
        """Sleep; raises KeyboardInterrupt as soon as `stopping` is set."""
        if self._leaving:
            threading.Event().wait(seconds)
        elif self.stopping.wait(seconds):
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if `stopping` is set."""
        if self.stopping.is_set() and not self._leaving:
            raise KeyboardInterrupt
