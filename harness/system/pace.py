"""How long something will still take, from how long it took so far."""

from __future__ import annotations

import time

# Something shorter needs no estimate.
_WORTH_SAYING_S = 3.0


class Pace:
    """Counts from when it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def left(self, done: float, total: float) -> str:
        """ ", about 40 s left" after `done` of `total` equal parts; empty while that is unknown."""
        if not done:
            return ""
        left_s = (time.monotonic() - self._started) * (total - done) / done
        if left_s < _WORTH_SAYING_S:
            return ""
        minutes = left_s / 60
        return f", about {left_s:.0f} s left" if minutes < 2 else f", about {minutes:.0f} min left"
