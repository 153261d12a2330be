"""The process of `lab start`: Dask's scheduler, which accepts only workers with its own
versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from harness.core.errors import HarnessError, UsageError
from harness.engine.lab import protocol
from harness.engine.lab.address import Address
from harness.engine.lab.dask_settings import applied
from harness.engine.lab.protocol import Versions
from harness.engine.lab.signals import until_asked_to_end


def serve(address: Address, say: Callable[[str], None]) -> None:
    """Run the scheduler of a lab until a signal or `lab stop` ends it. Raises UsageError if the
    address cannot be listened at."""
    with applied():
        asyncio.run(_serve(address, say))


async def _serve(address: Address, say: Callable[[str], None]) -> None:
    scheduler = make(address)
    try:
        await scheduler
    except (OSError, RuntimeError) as error:
        cause = error.__cause__ or error
        raise UsageError(
            f"cannot listen at {address}: {getattr(cause, 'strerror', None) or cause}",
            "choose another port, or stop what listens there",
        ) from None
    try:
        say(f"the lab is at {scheduler.address}")
        await until_asked_to_end(scheduler.finished())
    finally:
        await scheduler.close(reason="the lab was stopped")
    say("the lab has ended")


def make(address: Address) -> Any:
    """The scheduler, to be awaited inside an event loop."""
    from distributed import Scheduler

    own = protocol.own_versions()

    class LabScheduler(Scheduler):  # type: ignore[misc]
        """Dask's scheduler, which returns its versions and refuses workers with others."""

        def __init__(self) -> None:
            super().__init__(
                host=address.host,
                port=address.port,
                protocol=f"{address.scheme}://",
                security=address.security(),
                dashboard_address="127.0.0.1:0",
            )
            self.handlers[protocol.VERSIONS] = self.versions_of_lab

        async def versions_of_lab(self, **_: object) -> object:
            return msgspec.to_builtins(own)

        async def add_worker(self, comm: Any, **details: Any) -> None:
            try:
                theirs = msgspec.convert(details["extra"].get(protocol.VERSIONS), Versions)
                protocol.refuse_other(msgspec.to_builtins(own), theirs, str(self.address))
            except (msgspec.ValidationError, HarnessError) as error:
                from distributed.metrics import time

                refused = {"status": "error", "message": str(error), "time": time()}
                await comm.write(refused)
                return
            await super().add_worker(comm=comm, **details)

    return LabScheduler()
