"""Is this machine, or this phone, fit to measure on? One finding per thing looked at; `info` means
that it is well. On a phone each step is done for real: what passes here passes in a run."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, StableDeviceError, UsageError
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec
from harness.core.types import Conditions, Finding
from harness.core.units import file_size, percent, significant
from harness.devices.android import facts
from harness.devices.android.link import PhoneLink
from harness.devices.android.target import open_target
from harness.devices.host import linux
from harness.devices.transports._base import clean_df, free_bytes
from harness.system import processors
from harness.system.files import cache_dir, current_folder

LEAST_FREE_BYTES = 500_000_000
LOOK_S = 1.0
BUSY_SHARE = 0.1  # of all processors, by other programs

# What the project's own tests cannot show, for want of a phone, and what shows it on yours.
_LOG = "then read logs/{name}.log in the run's folder"
UNPROVED = (
    ("the USB cable", "python -m harness doctor --device {name}"),
    (
        "a cable that is pulled and put back",
        "pull it during python -m harness bench --device {name}, and put it back within a minute: "
        "the run goes on, and no launch is lost",
    ),
    (
        "the phone's dialog that asks for leave",
        "revoke USB debugging authorisations on the phone, then python -m harness devices",
    ),
    (
        "an adb server with a phone that was paired over Wi-Fi",
        "adb pair ADDRESS, then python -m harness devices, which shows the entry to write",
    ),
    (
        "toybox's df, stat, dd and sha256sum while a model is pushed",
        "python -m harness bench --quick --device {name}; a second time, nothing is pushed",
    ),
    (
        "fixed-performance mode, and that it is off again afterwards",
        "python -m harness doctor --device {name}, then adb shell dumpsys power",
    ),
    (
        "taskset to the big cores, and settaskprofile",
        "affinity: big in devices.yaml, then python -m harness bench --quick --device {name}, and "
        "meanwhile adb shell 'grep Cpus_allowed /proc/$(pidof benchmark_model)/status'",
    ),
    (
        "the formats of this maker's dumpsys thermalservice, battery and power",
        "python -m harness doctor --device {name} tells thermal status and battery level; compare "
        "with the phone's settings",
    ),
    (
        "memory read from /proc while the runner lives",
        "python -m harness bench --quick --device {name}; peak RSS and PSS are in the table with "
        "--wide, and not much above adb shell dumpsys meminfo",
    ),
    (
        "the download of benchmark_model, and its SHA-256 in runners.lock",
        "python -m harness doctor --device {name}, on a machine with a network",
    ),
    (
        "LiteRT's own build of benchmark_model on ARM (dialect B)",
        f"python -m harness bench --quick --device {{name}}, {_LOG} and compare it with the table",
    ),
    (
        "the classic build on ARM (dialect A), and parity with it",
        "runner: {{dialect: A}} in devices.yaml, then python -m harness bench --quick --device "
        "{name} --parity --profile",
    ),
    (
        "GPU and NPU delegates",
        "python -m harness bench --quick --device {name} --delegate cpu,gpu,npu; the report tells "
        "how many nodes each took",
    ),
    ("waiting for a hot phone", "python -m harness bench --device {name} --sustained 10m"),
)


def doctor(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> list[Finding]:
    """Examine one device. Never raises HarnessErrors; nothing stays behind."""
    if isinstance(spec, AndroidSpec):
        return _phone_findings(name, spec, log_dir, attendant)
    if isinstance(spec, HostSpec):
        return [_runtime(spec), *_host_findings()]
    return _core_findings(spec)


def unproved(devices: Mapping[str, DeviceSpec]) -> list[str]:
    """What nobody has shown on a real phone yet, and the commands that show it on a phone of
    `devices`, the first that may be real. Nothing where no phone is among them."""
    phones = {n: spec for n, spec in devices.items() if isinstance(spec, AndroidSpec)}
    if not phones:
        return []
    name = next((n for n, spec in phones.items() if spec.transport != "emulated"), "pixel")
    lines = ["not yet proved on a real phone by this project, and how you can with yours:"]
    for what, how in UNPROVED:
        lines += [f"  {what}", f"      -> {how.format(name=name)}"]
    return lines


# --- this machine ----------------------------------------------------------------------------


def _runtime(spec: HostSpec) -> Finding:
    from harness.devices.host.target import runtime_version

    try:
        return _well("runtime", f"{spec.runtime} {runtime_version(spec.runtime, spec)}")
    except UsageError as error:
        return Finding(level="serious", code="runtime", message=error.message, mend=error.mend)


def _core_findings(spec: ArmSpec) -> list[Finding]:
    """An emulated core counts and does not time: how busy this machine is does not matter."""
    from harness.devices import arm64_core
    from harness.devices.arm64_core.target import ready

    cache = cache_dir()
    try:
        env = ready(spec, thorough=True)
    except UsageError as error:
        core = Finding(level="serious", code="core", message=error.message, mend=error.mend)
    else:
        core = _well(
            "core",
            f"{spec.cpu} under qemu {env.qemu.version}, litert {env.lock.litert}, "
            f"{file_size(arm64_core.size_bytes(cache))} in {cache}",
        )
    if not (left := arm64_core.leftover_bytes(cache)):
        return [core]
    said = f"a set-up that was cut off left {file_size(left)}"
    return [core, _doubt("leftover", said, "python -m harness setup arm64 clears it")]


def _host_findings() -> list[Finding]:
    facts = linux.facts()
    return [_load(), _governor(facts), *_machine(facts), _power(), _disk()]


def _load() -> Finding:
    watch = linux.Watch()
    time.sleep(LOOK_S)
    now = watch.now()
    share, load = now.other_cpu_share, now.load_average
    if share is None:
        return _doubt("load", "this system does not tell how busy it is", "close other programs")
    said = f"other programs use {percent(share)} of {processors.usable()} processors"
    if load is not None:
        said += f", load average {significant(load)}"
    if share > BUSY_SHARE:
        return _doubt("load", said, "close other programs, or measure when the machine is idle")
    return _well("load", said)


def _governor(facts: Mapping[str, str]) -> Finding:
    governor = facts.get("governor")
    if governor is None:
        return _well("governor", "this system does not show its clock governor")
    if governor != "performance":
        return _doubt(
            "governor",
            f"the clock follows the load (governor {governor})",
            "sudo cpupower frequency-set -g performance",
        )
    return _well("governor", "performance")


def _machine(facts: Mapping[str, str]) -> list[Finding]:
    found = []
    if facts.get("virtual_machine") == "yes":
        found.append(
            _doubt(
                "virtual-machine",
                "this is a virtual machine, whose neighbours cannot be seen",
                "compare within one run, where rounds are paired; or use a machine of your own",
            )
        )
    if facts.get("smt") == "1":
        found.append(
            _doubt(
                "smt",
                "two threads share a core (SMT)",
                "echo off | sudo tee /sys/devices/system/cpu/smt/control",
            )
        )
    return found or [_well("machine", "no virtual machine, no shared cores")]


def _power() -> Finding:
    if linux.on_battery():
        return _doubt("power", "on battery, which lowers the clock", "plug the machine in")
    return _well("power", "not on battery")


def _disk() -> Finding:
    here = current_folder()
    if here is None:
        return _doubt("disk", "the current folder has been removed", "change into another")
    free = shutil.disk_usage(here).free
    if free < LEAST_FREE_BYTES:
        return _doubt("disk", f"only {file_size(free)} free here", "free some space")
    return _well("disk", f"{file_size(free)} free here")


# --- a phone ---------------------------------------------------------------------------------


def _phone_findings(
    name: str, spec: AndroidSpec, log_dir: Path, attendant: Attendant
) -> list[Finding]:
    findings: list[Finding] = []
    try:
        with contextlib.closing(open_target(name, spec, log_dir, attendant)) as target:
            phone = target.link.identity
            findings.append(_well("connect", f"connected to {phone.model}"))
            if phone.emulated:
                findings.append(
                    _doubt(
                        "emulated",
                        "this phone is emulated: its times are this machine's",
                        "for times of a phone, connect one",
                    )
                )
            now = facts.read_conditions(target.link.ask(facts.CONDITION_QUESTIONS))
            findings += _check_conditions(spec, now)
            target.link.make_ready()
            findings.append(_check_clocks(spec, target.link))
            findings += _check_storage(target.link)
            target.install()
            findings.append(_well("runner", f"the runner works ({target.tool.version()})"))
    except HarnessError as error:
        findings.append(
            Finding(
                level="serious",
                code=getattr(error, "stage", "configuration"),
                message=error.message,
                mend=error.mend,
            )
        )
    return findings


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
    link.push_bytes(b"probe", f"{link.work}/probe")
    if link.read_file(f"{link.work}/probe", 100) != b"probe":
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


def _well(code: str, message: str) -> Finding:
    return Finding(level="info", code=code, message=message)


def _doubt(code: str, message: str, mend: str) -> Finding:
    return Finding(level="warning", code=code, message=message, mend=mend)
