"""Phones that are plugged in but have no entry in devices.yaml."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import msgspec

from harness.core.errors import HarnessError
from harness.core.specs import AndroidSpec, DeviceSpec
from harness.devices import Probe

# A phone of this transport is made for a run, anywhere.
_MADE_FOR_A_RUN = "emulated"


def without_entry(
    devices: Mapping[str, DeviceSpec], seen: Container[str]
) -> dict[str, AndroidSpec]:
    """An entry for each phone that an adb server knows or that is on USB, unless an entry of
    devices.yaml can mean it or its serial is in `seen`. A phone on USB that a server already has
    counts as the server's."""
    specs = [s for s in devices.values() if isinstance(s, AndroidSpec)]
    named = {s.serial for s in specs} | {s.address for s in specs}
    takes_any = {s.transport for s in specs if not s.serial and not s.address}
    on_usb = [serial for serial in map(_serial, _on_usb()) if serial]
    if "adb_usb" in takes_any and len(on_usb) == 1:
        named |= {*on_usb}
    found: dict[str, AndroidSpec] = {}
    servers = {s.adb_server for s in specs if s.transport == "adb_server"}
    for server in sorted(servers | {None}, key=str):
        serials = _at_server(server)
        if "adb_server" in takes_any and len(serials) == 1:
            named |= {*serials}
        for serial in serials:
            found.setdefault(
                serial, AndroidSpec(transport="adb_server", serial=serial, adb_server=server)
            )
    for serial in on_usb:
        found.setdefault(serial, AndroidSpec(transport="adb_usb", serial=serial))
    return {n: spec for n, spec in found.items() if n not in named and n not in seen}


def with_entry_to_write(p: Probe) -> Probe:
    """The phone with the entry to write, unless something else must be done first."""
    entry = {"kind": "android", "transport": p.where.partition(":")[0], "serial": p.name}
    if p.server is not None:
        entry["adb_server"] = p.server
    # JSON, which is YAML too, quotes whatever a serial may hold.
    add = f"add to devices.yaml: {msgspec.json.encode(entry).decode()}"
    return msgspec.structs.replace(p, configured=False, fix=p.fix or add)


def unnamed() -> list[Probe]:
    """Phones on USB whose serial cannot be read, so that no entry can name them."""
    from harness.devices.transports import adb_usb

    return [
        Probe(
            name="?",
            kind="android",
            state="error",
            where="adb_usb",
            configured=False,
            error="a phone on USB does not show its serial: no permission for USB",
            fix=adb_usb.NO_ACCESS,
        )
        for phone in _on_usb()
        if not _serial(phone)
    ]


def _on_usb() -> list[Any]:
    from harness.devices.transports import adb_usb

    try:
        return adb_usb.plugged_in()
    except HarnessError:  # the package is optional; an entry that needs it has said so
        return []


def _serial(phone: Any) -> str:
    from harness.devices.transports import adb_usb

    return adb_usb.serial_of(phone)


def _at_server(address: str | None) -> dict[str, str]:
    from harness.devices.transports import adb_server

    try:
        return adb_server.listed(AndroidSpec(transport="adb_server", adb_server=address))
    except HarnessError:  # no server runs; an entry that needs it has said so
        return {}
