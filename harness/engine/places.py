"""Choosing a host for a piece of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from harness.core.lab import PROCESSOR, HostOffer
from harness.engine import Place

FEW = 2  # threads that networks as small as these can use
Free = Mapping[str, Mapping[str, float]]  # by the host's address: how much of each resource


def best(
    hosts: Iterable[HostOffer],
    free: Free,
    uses: Callable[[HostOffer], Mapping[str, float]],
    prefer: Callable[[HostOffer], tuple[float, ...]] = lambda host: (),
) -> Place | None:
    """The host that has free what the work `uses`; None if there is none. Of several the one with
    the highest `prefer`, then the one with the most free processors."""
    able = [Place(host, uses(host)) for host in hosts]
    able = [p for p in able if all(free[p.host.address].get(r, 0) >= n for r, n in p.uses.items())]
    return max(
        able,
        key=lambda p: (*prefer(p.host), free[p.host.address].get(PROCESSOR, 0)),
        default=None,
    )


def few_processors(host: HostOffer) -> dict[str, float]:
    """How many processors a small network can use."""
    return {PROCESSOR: min(FEW, host.processors)}
