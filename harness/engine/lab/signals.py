"""Ctrl-C and other signals in a process that runs an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from harness.system.interrupts import ENDING


async def until_asked_to_end(work: Coroutine[Any, Any, Any]) -> bool:
    """Wait for `work`, or until a signal comes; whether one did."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, *ENDING):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, asked.set)
    waiting = asyncio.ensure_future(asked.wait())
    working = asyncio.ensure_future(work)
    await asyncio.wait([waiting, working], return_when=asyncio.FIRST_COMPLETED)
    for future in (waiting, working):
        future.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await future
    return asked.is_set()
