"""A client's connection to a lab, through Dask's own client. What cannot be reached raises OSError
or TimeoutError."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from harness.core.lab import HostOffer
from harness.engine.lab import transfer, worker
from harness.engine.lab.address import Address
from harness.engine.lab.dask_settings import CONNECT_S
from harness.engine.lab.hosts import offers_of
from harness.engine.lab.protocol import Task

Heard = Callable[[tuple[float, Mapping[str, Any]]], None]


class Connection:
    """See the module. `heard` is called with each event of this client's tasks, in Dask's thread.
    Raises UsageError if no lab answers, or one of other versions."""

    def __init__(self, address: Address, heard: Heard) -> None:
        from distributed import Client

        self._sending: defaultdict[str, Lock] = defaultdict(Lock)
        try:
            address.reach(CONNECT_S)
            client = Client(
                str(address),
                security=address.security(),
                timeout=CONNECT_S,
                set_as_default=False,
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise worker.no_lab(address, error) from None
        self.client: Any = client
        try:
            client.sync(worker.check_versions, address)
            # A scheduler that is started again has another id.
            self._lab_id = str(client.scheduler_info()["id"])
            client.subscribe_topic(client.id, heard)
        except BaseException:
            client.close()
            raise

    @property
    def topic(self) -> str:
        """The topic of this client's events."""
        return str(self.client.id)

    def hosts(self) -> tuple[HostOffer, ...]:
        """The hosts of the lab, by name."""
        client = self.client
        if client.status != "running":
            raise OSError("the lab does not answer")
        known = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_S)
        # Dask's client reconnects by itself to a scheduler that was started again, but does not
        # subscribe again to events.
        if known["id"] != self._lab_id:
            raise OSError("the lab was started again")
        return offers_of(known)

    def hand_out(self, task: Task, host: HostOffer) -> Any:
        """Have the host do the task, once. Returns Dask's future."""
        return self.client.submit(
            worker.carry_out,
            msgspec.json.encode(task),
            key=task.key,
            workers=[host.address],
            allow_other_workers=False,
            resources=dict(task.uses),
            pure=False,
            retries=0,
        )

    def stop(self, address: str, keys: Sequence[str]) -> None:
        """Ask the host to end these tasks as soon as what they changed has been put back."""
        ask = self.client.rpc(address).lab_stop
        self.client.sync(ask, keys=list(keys), callback_timeout=CONNECT_S)

    def end_lab(self) -> None:
        """End the scheduler and every worker; they put back what they changed."""
        client = self.client
        for host in self.hosts():
            with contextlib.suppress(Exception):
                client.sync(client.rpc(host.address).lab_dismiss, callback_timeout=CONNECT_S)
        with contextlib.suppress(OSError, TimeoutError):
            client.sync(client.scheduler.terminate, callback_timeout=CONNECT_S)

    def close(self, timeout_s: float) -> None:
        """Disconnect, whatever happens."""
        with contextlib.suppress(Exception):
            self.client.close(timeout=timeout_s)

    # --- files ---

    def send(self, host: HostOffer, wanted: Mapping[str, Path]) -> None:
        """Send a host the files that it lacks, one at a time. Raises UsageError if one arrives
        damaged."""
        if not wanted:
            return
        with self._sending[host.address]:
            self.client.sync(transfer.send, self.client, host.address, wanted)

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        """See Engine."""
        ask = self.client.rpc(address).lab_built
        return frozenset(self.client.sync(ask, keys=list(keys), callback_timeout=CONNECT_S))

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        """See Engine."""
        self.client.sync(transfer.fetch, self.client, address, sha256, write)
