"""Where work runs: in this process (`local`), or also on the machines of a lab (`dask`). An engine
does not know what it runs. It gets pieces of `Work` that are independent of each other, and runs
those of one lane in turn and the lanes side by side. Without a lab the engine is `local`, which
does not import Dask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from harness.core.base import Failure

if TYPE_CHECKING:
    from harness.core.lab import HostOffer

# How a piece of work ended: it finished or failed, and reports that itself; it was stopped; or it
# showed that the whole run cannot go on.
Ending = Literal["done", "interrupted", "refused"]


class Work(Protocol):
    """One piece of work, such as all launches on one device."""

    def run(self) -> Ending:
        """Do it in this process. The work itself reports errors, later."""

    def stop(self) -> None:
        """End it as soon as what it changed has been put back; from any thread. Work that has not
        begun ends at once when it is run."""


class Place(NamedTuple):
    """Where a piece of work is to be done, and how much of each of that host's resources it
    uses."""

    host: HostOffer
    uses: Mapping[str, float]


class Later(NamedTuple):
    """Why there is no place for a piece of work now, how to fix that, and how long to wait, counted
    from when it was asked for or lost its place."""

    why: str
    fix: str
    within_s: float


AS_LONG_AS_IT_TAKES = math.inf  # a `within_s`
INTERRUPTED = Later("it was interrupted", "", 0)


def lost_work(message: str) -> Failure:
    """Why work at a lab was not finished, for reasons that are not the fault of the work."""
    return Failure(stage="lab", transient=True, message=message, fix="go on with --resume")


class Job(NamedTuple):
    """What a host must know to do a piece of work: a function of ours by name, its arguments in
    JSON, and the files it needs by SHA-256."""

    name: str
    run: str
    function: str
    arguments: bytes
    files: Mapping[str, Path]


@runtime_checkable
class AwayWork(Protocol):
    """Work that a host of a lab does. All calls come from the thread of `gather`, one after the
    other, but for `stop`."""

    def stop(self) -> None:
        """See Work."""

    def place(
        self, hosts: Sequence[HostOffer], free: Mapping[str, Mapping[str, float]]
    ) -> Place | Later:
        """Where it can be done. `free` maps the address of each host to how much of each resource
        is free."""

    def job(self, place: Place) -> Job:
        """What of it is still to be done."""

    def hear(self, event: bytes) -> bool:
        """Called with each event of the work; False if it need not go on."""

    def ended(self, answer: bytes) -> Ending | None:
        """Called with its answer; returns None if it must be done again, because something did not
        arrive."""

    def lost(self, failure: Failure) -> Ending | None:
        """Called when the work was lost before it finished; returns None if it is to be tried
        again."""

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """Called when it got no place in time, or was stopped before it had one."""

    def waiting(self, why: Later, left_s: float) -> None:
        """Called while it waits for a place."""


class Engine(Protocol):
    """See the module. `submit` and `gather` may be called in turns."""

    def where(self) -> tuple[HostOffer, ...]:
        """The other machines, and what they offer."""

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        """Add work that `gather` will do; works of one lane are done one after the other."""

    def gather(self) -> None:
        """Do everything that was submitted; returns when all of it has ended. Ctrl-C stops it all,
        and each piece of work reports that it was interrupted."""

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these keys of artifacts and trained networks the host at `address` has in its
        cache. Raises OSError if it cannot be reached."""

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        """A file that the host at `address` keeps, in pieces. Raises UsageError if it has none,
        OSError if it cannot be reached."""

    def close(self) -> None:
        """Disconnect."""
