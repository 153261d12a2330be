"""Whether a phone can be reached and is fit to measure on."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import CONFIGURATION, HarnessError, StableDeviceError
from harness.core.specs import AndroidSpec
from harness.core.types import Conditions, Finding
from harness.core.units import file_size
from harness.devices import Probe, State
from harness.devices.android import facts, lease, proof
from harness.devices.android.link import PhoneLink, quick_link
from harness.devices.android.target import open_target
from harness.devices.android.tool import PhoneTool
from harness.devices.findings import fine, serious, warning
from harness.devices.transports import free_bytes
from harness.system import causes

LEAST_FREE_BYTES = 500_000_000


def probe(name: str, spec: AndroidSpec, attendant: Attendant) -> Probe:
    """See Inspection."""
    found = Probe(
        name=name, kind="android", state="ready", where=_where(spec), server=spec.adb_server
    )
    try:
        with quick_link(spec, attendant) as link:
            phone, now = link.identity, _conditions(link)
            held = lease.held_by(link.shell, spec.work_dir)
    except HarnessError as error:
        causes.tell(error)
        return msgspec.structs.replace(
            found, state=state_of(error), error=error.message, fix=error.fix
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
        held=held,
    )


def _conditions(link: PhoneLink) -> Conditions:
    return facts.read_conditions(link.ask(facts.CONDITION_QUESTIONS))


def state_of(error: HarnessError) -> State:
    """What keeps a phone from being ready."""
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


def prove(spec: AndroidSpec, attendant: Attendant) -> str:
    """See Inspection."""
    return proof.prove(spec, attendant)


def examine(name: str, spec: AndroidSpec, log_dir: Path, attendant: Attendant) -> list[Finding]:
    """See Inspection. Each step is done for real: what passes here passes in a run."""
    findings: list[Finding] = []
    try:
        with contextlib.closing(open_target(name, spec, log_dir, attendant)) as target:
            phone = target.link.identity
            findings.append(fine("connect", f"connected to {phone.model}"))
            if phone.emulated:
                findings.append(
                    warning(
                        "emulated",
                        "this phone is emulated: its times are this machine's",
                        "for times of a phone, connect one",
                    )
                )
            now = facts.read_conditions(target.link.ask(facts.CONDITION_QUESTIONS))
            findings += _check_conditions(spec, now)
            target.link.make_ready()
            findings.append(_check_clocks(spec, target.link))
            findings += _leftovers(target.link)
            findings += _check_storage(target.link)
            target.install()
            findings.append(_runner(target.tool))
    except HarnessError as error:
        causes.tell(error)
        findings.append(serious(getattr(error, "stage", CONFIGURATION), error))
    return findings


def _leftovers(link: PhoneLink) -> list[Finding]:
    """The finding about folders of killed runs, which have been removed."""
    if not link.leftovers:
        return []
    folders = ", ".join(link.leftovers)
    return [fine("leftovers", f"removed what earlier runs had left on the phone: {folders}")]


def _runner(tool: PhoneTool) -> Finding:
    """Which executable it is, identified by its version and SHA-256."""
    sha256 = f", SHA-256 {tool.sha256[:12]}…" if tool.sha256 else ""
    return fine("runner", f"the runner works ({tool.version()}{sha256})")


def _check_conditions(spec: AndroidSpec, now: Conditions) -> list[Finding]:
    guards, findings = spec.guards, []
    if now.thermal_status is None:
        findings.append(
            warning(
                "thermal",
                "the phone does not report its thermal status (before Android 10)",
                "throttling cannot be detected: pause between runs",
            )
        )
    elif now.thermal_status > guards.max_thermal_status:
        findings.append(
            warning("thermal", f"hot: thermal status {now.thermal_status}", "let it cool first")
        )
    else:
        findings.append(fine("thermal", f"cool: thermal status {now.thermal_status}"))
    level = now.battery_percent
    if level is not None and level < guards.min_battery_percent:
        findings.append(
            warning("battery", f"battery at {level} %", f"charge to {guards.min_battery_percent} %")
        )
    elif level is not None:
        findings.append(fine("battery", f"battery at {level} %"))
    return findings


def _check_clocks(spec: AndroidSpec, link: PhoneLink) -> Finding:
    if link.fixed_performance:
        return fine("clocks", "fixed-performance mode works")
    if not spec.fixed_performance:
        return warning(
            "clocks", "fixed-performance mode is switched off", "fixed_performance: true"
        )
    return warning(
        "clocks",
        "the phone has no fixed-performance mode (Android 11 and newer, not every maker)",
        "expect wider intervals: raise --launches",
    )


def _check_storage(link: PhoneLink) -> list[Finding]:
    """Free space, and one file there and back."""
    answer = link.shell(f"df -k {shlex.quote(link.work)}")
    free = free_bytes(answer.stdout)
    link.push_bytes(b"probe", f"{link.work}/probe")
    if link.read_file(f"{link.work}/probe", 100) != b"probe":
        raise StableDeviceError(
            "storage", "a file came back changed", "try another cable or work_dir"
        )
    if free is None:
        return [
            warning("storage", "the phone does not report its free space", "check that it has some")
        ]
    if free < LEAST_FREE_BYTES:
        return [warning("storage", f"only {file_size(free)} free", "free some space on the phone")]
    return [fine("storage", f"files arrive whole, {file_size(free)} free")]
