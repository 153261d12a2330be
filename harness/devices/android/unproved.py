"""What the project's own tests cannot show without a phone, and commands that show it on yours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.core.specs import AndroidSpec, DeviceSpec
from harness.core.text import quoted

_LOG = "then read logs/{name}.log in the run's folder"
UNPROVED = (
    (
        "all measurements below, with a small model, into one file to be sent to the project",
        "python -m harness doctor --device {name} --prove",
    ),
    ("the USB cable", "python -m harness doctor --device {name}"),
    (
        "a cable that is pulled and put back",
        "pull it during python -m harness bench --device {name}, and put it back within a minute: "
        "the run goes on, and no launch is lost",
    ),
    (
        "the phone's dialog that asks for permission",
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
        "python -m harness doctor --device {name} shows thermal status and battery level; compare "
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
        "an NPU with the libraries of its maker",
        "runner.dispatch and runner.libraries in devices.yaml, then python -m harness bench "
        "--quick --device {name} --delegate cpu,npu",
    ),
    (
        "test images answered by a GPU, in float16 and in float32",
        "python -m harness bench --quick --device {name} --delegate cpu,gpu,gpu-fp32 --accuracy "
        "device --accuracy-images 50",
    ),
    (
        "GPU and NPU delegates",
        "python -m harness bench --quick --device {name} --delegate cpu,gpu,npu; the report tells "
        "how many nodes each took",
    ),
    (
        "the current of this maker's battery, its unit and sign",
        "unplug the phone, reach it with transport: adb_tcp, then python -m harness bench --device "
        "{name} --sustained 10m; the report says the power under load and idle",
    ),
    (
        "the benchmark app: pm, am and logcat of this phone",
        "runner: {{tool: benchmark_app}} in devices.yaml, the screen unlocked, then python -m "
        "harness bench --quick --device {name}; app / shell is in the table",
    ),
    ("waiting for a hot phone", "python -m harness bench --device {name} --sustained 10m"),
)


class Unproved(NamedTuple):
    """What nobody has shown on a real phone yet, and the command that shows it on yours."""

    what: str
    how: str


def unproved(devices: Mapping[str, DeviceSpec]) -> list[Unproved]:
    """What nobody has shown on a real phone yet, with commands for a phone of `devices`: the first
    that may be real, else the first. Nothing where no phone is among them."""
    phones = {n: spec for n, spec in devices.items() if isinstance(spec, AndroidSpec)}
    if not phones:
        return []
    real = (name for name, spec in phones.items() if spec.transport != "emulated")
    name = next(real, next(iter(phones)))
    return [Unproved(what, how.format(name=quoted(name))) for what, how in UNPROVED]
