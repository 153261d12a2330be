"""Where work runs: in this process (`local`), or also on the machines of a lab (`dask`).

An engine knows nothing of what it runs. It gets pieces of `Work` that do not need each other, and
runs those of one lane in turn and the lanes side by side. Whoever asks for no lab gets `local`,
which imports nothing of Dask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from harness.core.base import Failure

if TYPE_CHECKING:
    from harness.core.lab import HostOffer

# How a piece of work ended: it is finished or has failed and says so itself; it was stopped; or
# it shows that all of the work is for nothing.
Ending = Literal["done", "interrupted", "refused"]


class Work(Protocol):
    """One piece of work, such as all launches on one device."""

    def run(self) -> Ending:
        """Do it in this process. What goes wrong is told by the work itself, later."""

    def stop(self) -> None:
        """End it as soon as what it changed has been put back; from any thread. Work that has not
        begun ends at once when it is run."""


class Place(NamedTuple):
    """Where a piece of work is to be done, and on which of that host's resources, so many each."""

    host: HostOffer
    uses: Mapping[str, float]


class Later(NamedTuple):
    """Why there is no place for a piece of work now, how to fix that, and how long it may be waited
    for, since it was asked for or lost its place."""

    why: str
    fix: str
    within_s: float


INTERRUPTED = Later("it was interrupted", "", 0)


def lost_work(message: str) -> Failure:
    """Why work at a lab was not done to its end, where that says nothing against the work."""
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
        """Where it can be done. `free` says by the host's address how much of each resource nobody
        uses."""

    def job(self, place: Place) -> Job:
        """What is still to be done of it."""

    def hear(self, event: bytes) -> bool:
        """What it says meanwhile; False if it need not go on."""

    def ended(self, answer: bytes) -> Ending | None:
        """What it answered; None if it must be done again, since something did not arrive."""

    def lost(self, failure: Failure) -> Ending | None:
        """It was not done to its end; None if it is to be tried again."""

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """There was no place for it in time, or it was stopped before there was one."""

    def waiting(self, why: Later, left_s: float) -> None:
        """It is still waited for."""


class Engine(Protocol):
    """See the module. `submit` and `gather` may be called in turns."""

    def where(self) -> tuple[HostOffer, ...]:
        """The other machines there are, and what they offer."""

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        """To be done by `gather`; works of one lane are done one after the other."""

    def gather(self) -> None:
        """Do everything that was submitted; returns when all of it has ended. Ctrl-C stops it all,
        and each piece of work tells that it was interrupted."""

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these keys of artifacts and trained networks the host at `address` has in its
        cache. Raises OSError if it cannot be reached."""

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        """A file that the host at `address` keeps, in pieces. Raises UsageError if it has none,
        OSError if it cannot be reached."""

    def close(self) -> None:
        """Leave what was connected to."""
