"""Phones of a lab: which entries are phones that a host can offer, and an entry with its host's way
to the phone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from harness.core.specs import AndroidSpec, DeviceSpec


def offered(devices: Mapping[str, DeviceSpec]) -> dict[str, AndroidSpec]:
    """The phones among the entries. An emulated phone, which any host can make, is not offered; one
    at another host is offered by that host."""
    return {
        name: spec
        for name, spec in devices.items()
        if isinstance(spec, AndroidSpec)
        and spec.transport != "emulated"
        and spec.at is None
        and spec.any is None
    }


def reached_by(
    entry: DeviceSpec | None, way: AndroidSpec, *, least_wait_s: float = 0.0
) -> AndroidSpec:
    """The settings of an entry, or without one those of `way`, with the way to the phone that its
    host has."""
    own = entry if isinstance(entry, AndroidSpec) else way
    return replace(
        own,
        transport=way.transport,
        serial=way.serial,
        address=way.address,
        adb_server=way.adb_server,
        wait_s=max(own.wait_s, least_wait_s),
        at=None,
        any=None,
    )
