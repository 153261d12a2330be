"""What is configured, what is plugged in, what is wrong and how to mend it: for `devices` and
`doctor`. Nothing is measured, and nothing stays on a phone."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from harness import plugins
from harness.core.errors import HarnessError, StableDeviceError
from harness.core.specs import AndroidSpec, DeviceSpec, kind_of
from harness.core.text import clean
from harness.core.types import Conditions, Finding, Value
from harness.core.units import file_size
from harness.targets import _phone
from harness.targets._link import PhoneLink
from harness.targets.android import open_target
from harness.transports._base import clean_df, free_bytes

State = Literal["ready", "unauthorized", "absent", "error"]

PROBE_TIMEOUT_S = 5.0
LEAST_FREE_BYTES = 500_000_000


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
    if not isinstance(spec, AndroidSpec):
        return Probe(name=name, kind=kind_of(spec), state="ready", where="this machine")
    found = Probe(name=name, kind="android", state="ready", where=_where(spec))
    quick = msgspec.structs.replace(
        spec,
        fixed_performance=False,
        connect_timeout_s=min(spec.connect_timeout_s, PROBE_TIMEOUT_S),
    )
    try:
        with _connected(name, quick) as link:
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


def doctor(name: str, spec: AndroidSpec, log_dir: Path) -> list[Finding]:
    """Is this phone fit to measure on? One finding per thing looked at; `info` means that it is
    well. Each step is done for real: what passes here passes in a run."""
    findings: list[Finding] = []
    emulated = False
    try:
        with contextlib.closing(open_target(name, spec, log_dir)) as target:
            phone = target.link.identity
            emulated = phone.emulated
            findings.append(_well("connect", f"connected to {phone.model}"))
            findings += _check_conditions(spec, _conditions(target.link))
            target.link.make_ready()
            findings.append(_check_clocks(spec, target.link))
            findings += _check_storage(target.link)
            target.install()
            findings.append(_well("runner", f"the runner works ({target.runner_version()})"))
    except HarnessError as error:
        findings.append(
            Finding(
                level="serious",
                code=getattr(error, "stage", "configuration"),
                message=error.message,
                mend=error.mend,
            )
        )
    return [*findings, _unproved(name, emulated)]


def _check_conditions(spec: AndroidSpec, now: Conditions) -> list[Finding]:
    guards, findings = spec.guards, []
    if now.thermal_status is None:
        findings.append(
            _doubt(
                "thermal",
                "the phone tells no thermal status (before Android 10)",
                "throttling goes unseen: pause between runs",
            )
        )
    elif now.thermal_status > guards.max_thermal_status:
        findings.append(
            _doubt("thermal", f"hot: thermal status {now.thermal_status}", "let it cool first")
        )
    else:
        findings.append(_well("thermal", f"cool: thermal status {now.thermal_status}"))
    level = now.battery_percent
    if level is not None and level < guards.min_battery_percent:
        findings.append(
            _doubt("battery", f"battery at {level} %", f"charge to {guards.min_battery_percent} %")
        )
    elif level is not None:
        findings.append(_well("battery", f"battery at {level} %"))
    return findings


def _check_clocks(spec: AndroidSpec, link: PhoneLink) -> Finding:
    if link.fixed_performance:
        return _well("clocks", "fixed-performance mode works")
    if not spec.fixed_performance:
        return _doubt("clocks", "fixed-performance mode is switched off", "fixed_performance: true")
    return _doubt(
        "clocks",
        "the phone has no fixed-performance mode (Android 11 and newer, not every maker)",
        "expect wider intervals: raise --launches",
    )


def _check_storage(link: PhoneLink) -> list[Finding]:
    """Free space, and one file there and back."""
    answer = link.shell(f"df -k {shlex.quote(link.work)}")
    free = free_bytes(clean_df(answer.stdout))
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "probe"
        local.write_bytes(b"probe")
        link.push(local, f"{link.work}/probe")
    if link.read_file(f"{link.work}/probe") != b"probe":
        raise StableDeviceError(
            "storage", "a file came back changed", "try another cable or work_dir"
        )
    if free is None:
        return [
            _doubt("storage", "the phone does not tell its free space", "see that there is some")
        ]
    if free < LEAST_FREE_BYTES:
        return [_doubt("storage", f"only {file_size(free)} free", "free some space on the phone")]
    return [_well("storage", f"files arrive whole, {file_size(free)} free")]


def _unproved(name: str, emulated: bool) -> Finding:
    if emulated:
        return Finding(
            level="info",
            code="emulated",
            message="this phone is emulated: its numbers are this machine's",
            mend="for numbers of a phone, connect one",
        )
    return Finding(
        level="info",
        code="unproved",
        message=(
            "not yet proved on a real phone by this project: the USB cable, GPU and NPU delegates, "
            "the output of LiteRT's own benchmark_model, fixed-performance mode"
        ),
        mend=(
            f"prove it with yours: python -m harness bench --quick --device {clean(name)} "
            "--delegate cpu,gpu, then compare the log in the run's folder with the table it printed"
        ),
    )


@contextlib.contextmanager
def _connected(name: str, spec: AndroidSpec) -> Iterator[PhoneLink]:
    transport = plugins.load("transports", spec.transport).open_transport(spec)
    link = PhoneLink(name, spec, transport)
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
        return adb_server.listed(AndroidSpec())
    except HarnessError:  # no server runs; an entry that needs it has said so
        return {}


def _well(code: str, message: str) -> Finding:
    return Finding(level="info", code=code, message=message)


def _doubt(code: str, message: str, mend: str) -> Finding:
    return Finding(level="warning", code=code, message=message, mend=mend)
