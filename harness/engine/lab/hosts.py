"""The hosts of a lab as its scheduler knows them, and what each has free."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.core.lab import ARM64, BUILD, PROCESSOR, HostOffer
from harness.engine.lab.worker import OFFERS


def offers_of(identity: Mapping[str, Any]) -> tuple[HostOffer, ...]:
    """What the scheduler knows about the hosts; workers that are not of a lab are left out."""
    hosts = []
    for address, known in identity["workers"].items():
        told = known.get("metrics", {}).get(OFFERS)
        if told is None:
            continue
        offer = msgspec.convert(told, HostOffer, strict=False)
        seen_s = max(0.0, time.time() - known.get("last_seen", time.time()))
        hosts.append(msgspec.structs.replace(offer, address=address, seen_s=seen_s))
    return tuple(sorted(hosts, key=lambda host: host.name))


def free_of(host: HostOffer, used_besides: Mapping[str, float]) -> dict[str, float]:
    """How much of each resource of a host is free."""
    free: dict[str, float] = {PROCESSOR: host.processors}
    if host.arm64:
        free[ARM64] = host.processors
    if host.builds:
        free[BUILD] = host.builds
    free |= {phone.resource: 1 for phone in host.phones if phone.state == "ready"}
    for used in (used_besides, *(doing.uses for doing in host.doing)):
        for resource, amount in used.items():
            free[resource] = free.get(resource, 0) - amount
    return free
