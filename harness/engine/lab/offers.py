"""What one host offers: its processors, the emulated core, and the phones that are ready."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from harness.artifacts import parcel
from harness.core.attendant import Attendant
from harness.core.errors import HarnessError
from harness.core.lab import PhoneOffer, phone_resource
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec
from harness.devices import Probe, kind_of
from harness.devices.android import at_lab, discovery
from harness.devices.host import linux, target
from harness.devices.probe import Attendants, probe
from harness.system import processors

# What TensorFlow needs with one of the larger models.
BUILD_BYTES = 3 << 30


class Builds(NamedTuple):
    """How many trainings and conversions a host can do at once, and the versions that their bytes
    depend on."""

    at_once: int
    builds_with: Mapping[str, str]


NO_BUILDS = Builds(0, MappingProxyType({}))


def builds() -> Builds:
    """The builds of this host: at most one per processor, and no more than fit into the memory."""
    with_ = parcel.builds_with()
    if not with_:
        return NO_BUILDS
    ram, most = linux.ram_bytes(), processors.usable()
    return Builds(most if ram is None else min(most, max(1, ram // BUILD_BYTES)), with_)


def answers_with() -> str:
    """What artifacts answer with here; empty if they cannot."""
    try:
        return target.answers_with()
    except HarnessError:
        return ""


def has_arm64(devices: Mapping[str, DeviceSpec]) -> bool:
    """Whether the emulated core is set up here."""
    cores = (s for s in devices.values() if kind_of(s).traits(s).at_lab == "core")
    spec = next(cores, ArmSpec())
    try:
        kind_of(spec).check(spec, Attendant())
    except HarnessError:
        return False
    return True


def phones(
    devices: Mapping[str, DeviceSpec],
    known: Collection[PhoneOffer],
    busy: Collection[str],
    attendants: Attendants = lambda name: Attendant(),
) -> tuple[PhoneOffer, ...]:
    """Every phone of devices.yaml and every one that is plugged in. Those whose resource is `busy`
    are not disturbed, and are as they were `known`."""
    kept = [offer for offer in known if offer.resource in busy]
    wanted = at_lab.offered(devices)
    untouched = {offer.name for offer in kept}
    offers = list(kept)
    seen = {offer.serial for offer in kept if offer.serial}
    for name, spec in wanted.items():
        if name not in untouched:
            _add(offers, seen, probe(name, spec, attendants(name)), spec)
    for name, spec in discovery.without_entry(wanted, seen).items():
        if name not in untouched:
            _add(offers, seen, probe(name, spec, attendants(name)), spec)
    order = {name: place for place, name in enumerate(wanted)}
    return tuple(sorted(offers, key=lambda o: (order.get(o.name, len(order)), o.name)))


def _add(offers: list[PhoneOffer], seen: set[str], found: Probe, spec: AndroidSpec) -> None:
    """Each ready phone under its first name; further entries for the same phone are left out."""
    if found.serial in seen:
        return
    if found.serial:
        seen.add(found.serial)
    offers.append(
        PhoneOffer(
            resource=phone_resource(found.serial or f"{platform.node()} {found.name}"),
            name=found.name,
            state=found.state,
            spec=spec,
            serial=found.serial,
            model=found.model,
            os=found.os,
            abi=found.abi,
            emulated=found.emulated,
            battery_percent=found.battery_percent,
            error=found.error,
            fix=found.fix,
            held=found.held,
        )
    )
