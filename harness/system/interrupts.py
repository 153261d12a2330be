"""Ctrl-C and other signals that end the process, and sections that must finish before they do."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

# SIGHUP is the terminal closing, as when the connection to a measuring machine breaks.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def end_like_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end this process in the same way as Ctrl-C, with all clean-up. A
    signal that is ignored, as under nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delay signals until the end of this block, so that it is not interrupted. Python delivers
    signals to the main thread only, so in other threads there is nothing to delay."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        heard.append(number)

    before = {}
    for number in (signal.SIGINT, *ENDING):
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            before[heard[0]](heard[0], None)
