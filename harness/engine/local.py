"""Work in this process: lanes side by side, works of one lane in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.core.errors import UsageError
from harness.core.lab import HostOffer
from harness.engine import AwayWork, Work
from harness.system import interrupts


class LocalEngine:
    """See the module and Engine."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[Work]] = {}

    def where(self) -> tuple[HostOffer, ...]:
        """See Engine. There are no others."""
        return ()

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        """See Engine."""
        assert not isinstance(work, AwayWork)
        self._lanes.setdefault(lane, []).append(work)

    def gather(self) -> None:
        """See Engine."""
        in_lanes, self._lanes = list(self._lanes.values()), {}
        if len(in_lanes) == 1:
            _take_turns(in_lanes[0], in_lanes[0])
        elif in_lanes:
            _side_by_side(in_lanes)

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        """See Engine. There is no other host."""
        return frozenset()

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        """See Engine. There is no other host."""
        raise UsageError(f"there is no host at {address}", "name a lab with --lab")

    def close(self) -> None:
        """See Engine. There is no connection."""


def _take_turns(works: list[Work], everywhere: Iterable[Work]) -> None:
    """Run the works one after the other; after an interrupt no further one is begun. If a work
    refuses, the work `everywhere` ends, since the user will have to begin again."""
    for work in works:
        ending = work.run()
        if ending == "refused":
            stop(everywhere)
        elif ending == "interrupted":
            stop(works)


def _side_by_side(in_lanes: list[list[Work]]) -> None:
    """Run each lane in a thread; Ctrl-C ends the running work."""
    everywhere = [work for lane in in_lanes for work in lane]
    with ThreadPoolExecutor(len(in_lanes)) as pool:
        try:  # from the first on, which already runs while the others are submitted
            for future in [pool.submit(_take_turns, lane, everywhere) for lane in in_lanes]:
                future.result()
        except KeyboardInterrupt:
            # Each puts its phone back as it was, even if asked to stop several times.
            with contextlib.suppress(KeyboardInterrupt), interrupts.held():
                stop(everywhere)
                pool.shutdown()


def stop(works: Iterable[Work]) -> None:
    """Stop each of them."""
    for work in works:
        work.stop()
