"""Where work runs: in this process (`local`), or also on the machines of a lab (`dask`).

An engine knows nothing of what it runs. It gets pieces of `Work` that do not need each other, and
runs those of one lane in turn and the lanes side by side. Whoever asks for no lab gets `local`,
which imports nothing of Dask.
"""

from __future__ import annotations

from typing import Literal, Protocol

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


class Engine(Protocol):
    """See the module. `submit` and `gather` may be called in turns."""

    def submit(self, work: Work, lane: str) -> None:
        """To be done by `gather`; works of one lane are done one after the other."""

    def gather(self) -> None:
        """Do everything that was submitted; returns when all of it has ended. Ctrl-C stops it all,
        and each piece of work tells that it was interrupted."""

    def close(self) -> None:
        """Leave what was connected to."""
