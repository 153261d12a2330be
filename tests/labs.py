"""Labs for tests: Dask's scheduler and workers on loopback, in a thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from harness.core.lab import PhoneOffer
from harness.engine.lab import scheduler, worker
from harness.engine.lab.address import Address, parse
from harness.engine.lab.dask_settings import applied
from tests.phones import free_port


class Lab:
    """A scheduler, and the workers that joined."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keys: Path | None) -> None:
        self._loop, self._keys = loop, keys
        self._scheduler: Any = None
        self.workers: dict[str, Any] = {}
        scheme = "tcp" if keys is None else "tls"
        self.address = parse(f"{scheme}://127.0.0.1:{free_port()}", keys)

    def do(self, work: Coroutine[Any, Any, Any], timeout: float = 60) -> Any:
        """Something asynchronous in the lab's thread. Dask adds folders of its own to sys.path.
        They are taken out again: builds with different paths cannot share one process that has
        imported TensorFlow."""
        path = sys.path[:]
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)
        finally:
            sys.path[:] = path

    def start(self) -> None:
        async def start() -> None:
            self._scheduler = scheduler.make(self.address)
            await self._scheduler

        self.do(start())

    def stop(self) -> None:
        """The scheduler ends, as if it were killed."""
        self.do(self._scheduler.close())

    def kill(self) -> None:
        """The scheduler disappears without telling those who are connected to it."""

        async def kill() -> None:
            self._scheduler.stop()
            for stream in (
                *self._scheduler.client_comms.values(),
                *self._scheduler.stream_comms.values(),
            ):
                stream.abort()
            await self._scheduler.close()

        self.do(kill())

    def join(
        self,
        name: str,
        phones: tuple[PhoneOffer, ...] = (),
        *,
        look: worker.Look = lambda known, busy: known,
        address: Address | None = None,
        **options: Any,
    ) -> Any:
        async def join() -> Any:
            made = worker.make(address or self.address, name, look, phones, **options)
            await worker.started(made)
            return made

        self.workers[name] = self.do(join())
        return self.workers[name]

    def end(self) -> None:
        for made in self.workers.values():
            with contextlib.suppress(Exception):
                self.do(made.close())
        with contextlib.suppress(Exception):
            self.stop()


@contextlib.contextmanager
def lab(keys: Path | None = None) -> Iterator[Lab]:
    """A lab without hosts."""
    with applied():
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        made = Lab(loop, keys)
        try:
            made.start()
            yield made
        finally:
            made.end()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
