"""What is configured, what is plugged in, what cannot be reached and how to fix it. Nothing is
measured, and nothing stays on a phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from harness.core.attendant import Attendant
from harness.core.specs import DeviceSpec
from harness.devices import Probe, inspection_of
from harness.devices.android import discovery

Attendants = Callable[[str], Attendant]  # by the name of the device


def probe_all(devices: Mapping[str, DeviceSpec], attendants: Attendants) -> list[Probe]:
    """Look at every entry, all at once, then at phones that have no entry. A phone that does not
    answer within a few seconds is absent; one that asks its user for permission is announced."""
    probes = _probe_each(devices, attendants)
    seen = {p.serial for p in probes if p.serial}
    others = _probe_each(discovery.without_entry(devices, seen), attendants)
    for other in others:
        if other.serial is None or other.serial not in seen:
            seen.add(other.serial or other.name)
            probes.append(discovery.with_entry_to_write(other))
    return probes + discovery.unnamed()


def _probe_each(devices: Mapping[str, DeviceSpec], attendants: Attendants) -> list[Probe]:
    with ThreadPoolExecutor(max_workers=max(1, len(devices))) as pool:
        return list(pool.map(lambda name: probe(name, devices[name], attendants(name)), devices))


def probe(name: str, spec: DeviceSpec, attendant: Attendant) -> Probe:
    """Connect, ask, disconnect. Never raises HarnessErrors."""
    return inspection_of(spec).probe(name, spec, attendant)
