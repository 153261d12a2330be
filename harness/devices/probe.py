"""What is configured, what is plugged in, what cannot be reached and how to mend it. Nothing is
measured, and nothing stays on a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, UsageError
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, kind_of
from harness.core.types import Conditions, Value
from harness.devices.android import facts
from harness.devices.android.link import PhoneLink
from harness.system import plugins

State = Literal["ready", "unauthorized", "absent", "error"]

PROBE_TIMEOUT_S = 5.0

Attendants = Callable[[str], Attendant]  # by the name of the device


class Probe(Value, frozen=True):
    """One entry of devices.yaml, or one phone that is in none, which goes by its serial. `error`
    and `mend` are empty when it is ready, but for the entry to write where there is none."""

    name: str
    kind: str
    state: State
    where: str
    server: str | None = None
    configured: bool = True
    serial: str | None = None
    model: str | None = None
    os: str | None = None
    abi: str | None = None
    emulated: bool = False
    battery_percent: int | None = None
    thermal_status: int | None = None
    error: str = ""
    mend: str = ""


def probe_all(devices: Mapping[str, DeviceSpec], attendants: Attendants) -> list[Probe]:
    """Look at every entry, all at once, then at phones that have no entry. A phone that does not
    answer within a few seconds is absent; one that asks its user is announced."""
    probes = _probe_each(devices, attendants)
    seen = {p.serial for p in probes if p.serial}
    others = _probe_each(_unconfigured(devices, seen), attendants)
    for other in others:
        if other.serial is None or other.serial not in seen:
            seen.add(other.serial or other.name)
            probes.append(_without_entry(other))
    return probes + _unnamed()


def _probe_each(devices: Mapping[str, DeviceSpec], attendants: Attendants) -> list[Probe]:
    with ThreadPoolExecutor(max_workers=max(1, len(devices))) as pool:
        return list(pool.map(lambda name: probe(name, devices[name], attendants(name)), devices))


def probe(name: str, spec: DeviceSpec, attendant: Attendant) -> Probe:
    """Connect, ask, disconnect. Never raises HarnessErrors."""
    if isinstance(spec, ArmSpec):
        return _core(name, spec)
    if not isinstance(spec, AndroidSpec):
        return Probe(name=name, kind=kind_of(spec), state="ready", where="this machine")
    found = Probe(
        name=name, kind="android", state="ready", where=_where(spec), server=spec.adb_server
    )
    try:
        with _connected(_quick(spec), attendant) as link:
            phone, now = link.identity, _conditions(link)
    except HarnessError as error:
        return msgspec.structs.replace(
            found, state=_state(error), error=error.message, mend=error.mend
        )
    return msgspec.structs.replace(
        found,
        serial=phone.serial,
        model=phone.model,
        os=f"Android {phone.android}" if phone.android else None,
        abi=phone.abi,
        emulated=phone.emulated,
        battery_percent=now.battery_percent,
        thermal_status=now.thermal_status,
    )


def _core(name: str, spec: ArmSpec) -> Probe:
    from harness.devices.arm64_core.target import ready

    found = Probe(
        name=name,
        kind=kind_of(spec),
        state="ready",
        where=f"this machine: {spec.cpu}",
        abi="arm64-v8a",
        emulated=True,
    )
    try:
        ready(spec)
    except UsageError as error:
        return msgspec.structs.replace(found, state="absent", error=error.message, mend=error.mend)
    return found


def unreachable(spec: DeviceSpec, attendant: Attendant) -> HarnessError | None:
    """Why a launch on this device cannot even begin, if that shows within a few seconds. A phone
    that asks its user is not unreachable, and says so; nor is one that is made for the run."""
    if not isinstance(spec, AndroidSpec) or spec.transport == "emulated":
        return None
    try:
        with _connected(_quick(spec), attendant):
            return None
    except HarnessError as error:
        if _state(error) != "unauthorized":
            return error
    attendant.say("not allowed yet; the phone asks again when measuring begins")
    return None


def _quick(spec: AndroidSpec) -> AndroidSpec:
    return msgspec.structs.replace(
        spec,
        fixed_performance=False,
        connect_timeout_s=min(spec.connect_timeout_s, PROBE_TIMEOUT_S),
    )


@contextlib.contextmanager
def _connected(spec: AndroidSpec, attendant: Attendant) -> Iterator[PhoneLink]:
    module = plugins.load("harness.devices.transports", spec.transport)
    transport = module.open_transport(spec, attendant)
    link = PhoneLink(spec, transport, attendant)
    try:
        link.open()
        yield link
    finally:
        link.close()


def _conditions(link: PhoneLink) -> Conditions:
    return facts.read_conditions(link.ask(facts.CONDITION_QUESTIONS))


def _state(error: HarnessError) -> State:
    if "did not allow" in error.message:
        return "unauthorized"
    return "absent" if getattr(error, "transient", False) else "error"


def _where(spec: AndroidSpec) -> str:
    place = (
        spec.address
        or spec.serial
        or ("a phone of its own" if spec.transport == "emulated" else "any")
    )
    return f"{spec.transport}: {place}"


def _unconfigured(
    devices: Mapping[str, DeviceSpec], seen: Container[str]
) -> dict[str, AndroidSpec]:
    """An entry for each phone that an adb server knows or that is on USB, and that no entry of
    devices.yaml can mean, nor any in `seen`, which are serials. A phone on USB that a server has
    is the server's."""
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


def _without_entry(p: Probe) -> Probe:
    """With the entry to write, unless something else is to be done first."""
    entry = {"kind": "android", "transport": p.where.partition(":")[0], "serial": p.name}
    if p.server is not None:
        entry["adb_server"] = p.server
    # JSON, which is YAML too, quotes whatever a serial may hold.
    add = f"add to devices.yaml: {msgspec.json.encode(entry).decode()}"
    return msgspec.structs.replace(p, configured=False, mend=p.mend or add)


def _unnamed() -> list[Probe]:
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
            mend=adb_usb.NO_ACCESS,
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
