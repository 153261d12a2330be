"""What is configured, what is plugged in, what cannot be reached and how to mend it. Nothing is
measured, and nothing stays on a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from harness import plugins
from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, UsageError
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, kind_of
from harness.core.types import Conditions, Value
from harness.targets import _phone
from harness.targets._link import PhoneLink

State = Literal["ready", "unauthorized", "absent", "error"]

PROBE_TIMEOUT_S = 5.0


class Probe(Value, frozen=True):
    """One entry of devices.yaml, or one phone that is in none. `error` and `mend` are empty when
    it is ready."""

    name: str
    kind: str
    state: State
    where: str
    configured: bool = True
    model: str | None = None
    os: str | None = None
    abi: str | None = None
    emulated: bool = False
    battery_percent: int | None = None
    thermal_status: int | None = None
    error: str = ""
    mend: str = ""


def probe_all(devices: Mapping[str, DeviceSpec]) -> list[Probe]:
    """Look at every entry, all at once, then for phones that have no entry. A phone that does not
    answer within a few seconds is absent."""
    with ThreadPoolExecutor(max_workers=max(1, len(devices))) as pool:
        probes = list(pool.map(probe, devices, devices.values()))
    return probes + _unconfigured(devices)


def probe(name: str, spec: DeviceSpec) -> Probe:
    """Connect, ask, disconnect. Never raises HarnessErrors."""
    if isinstance(spec, ArmSpec):
        return _core(name, spec)
    if not isinstance(spec, AndroidSpec):
        return Probe(name=name, kind=kind_of(spec), state="ready", where="this machine")
    found = Probe(name=name, kind="android", state="ready", where=_where(spec))
    try:
        with _connected(_quick(spec)) as link:
            phone, now = link.identity, _conditions(link)
    except HarnessError as error:
        return msgspec.structs.replace(
            found, state=_state(error), error=error.message, mend=error.mend
        )
    return msgspec.structs.replace(
        found,
        model=phone.model,
        os=f"Android {phone.android}" if phone.android else None,
        abi=phone.abi,
        emulated=phone.emulated,
        battery_percent=now.battery_percent,
        thermal_status=now.thermal_status,
    )


def _core(name: str, spec: ArmSpec) -> Probe:
    from harness.targets.arm64 import ready

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


def unreachable(spec: DeviceSpec) -> HarnessError | None:
    """Why a launch on this device cannot even begin, if that shows within a few seconds. A phone
    that asks its user is not unreachable, nor one that is made for the run."""
    if not isinstance(spec, AndroidSpec) or spec.transport == "emulated":
        return None
    try:
        with _connected(_quick(spec)):
            return None
    except HarnessError as error:
        return None if _state(error) == "unauthorized" else error


def _quick(spec: AndroidSpec) -> AndroidSpec:
    return msgspec.structs.replace(
        spec,
        fixed_performance=False,
        connect_timeout_s=min(spec.connect_timeout_s, PROBE_TIMEOUT_S),
    )


@contextlib.contextmanager
def _connected(spec: AndroidSpec) -> Iterator[PhoneLink]:
    attendant = Attendant()
    transport = plugins.load("transports", spec.transport).open_transport(spec, attendant)
    link = PhoneLink(spec, transport, attendant)
    try:
        link.open()
        yield link
    finally:
        link.close()


def _conditions(link: PhoneLink) -> Conditions:
    return _phone.read_conditions(link.ask(_phone.CONDITION_QUESTIONS))


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


def _unconfigured(devices: Mapping[str, DeviceSpec]) -> list[Probe]:
    """Phones on USB, and phones an adb server knows, that no entry can mean."""
    specs = [s for s in devices.values() if isinstance(s, AndroidSpec)]
    known = {s.serial for s in specs} | {s.address for s in specs}
    takes_any = {s.transport for s in specs if not s.serial and not s.address}
    found: list[Probe] = []
    for transport, serials in (("adb_usb", _on_usb()), ("adb_server", _at_server())):
        if transport in takes_any and len(serials) == 1:
            continue
        for serial, state in serials.items():
            if serial in known:
                continue
            found.append(
                Probe(
                    name=serial,
                    kind="android",
                    state="ready" if state == "device" else "unauthorized",
                    where=transport,
                    configured=False,
                    mend=f"add to devices.yaml: {{kind: android, transport: {transport}, "
                    f"serial: {serial}}}",
                )
            )
    return found


def _on_usb() -> dict[str, str]:
    from harness.transports import adb_usb

    try:
        return {adb_usb.serial_of(p): "device" for p in adb_usb.plugged_in()}
    except HarnessError:  # the package is optional; an entry that needs it has said so
        return {}


def _at_server() -> dict[str, str]:
    from harness.transports import adb_server

    try:
        return adb_server.listed(AndroidSpec(transport="adb_server"))
    except HarnessError:  # no server runs; an entry that needs it has said so
        return {}
