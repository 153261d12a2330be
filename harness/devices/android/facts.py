"""What a phone reports about itself: the commands to ask, and how to read the answers.

All questions of one kind go in one shell command, because each costs a round trip; the answers are
told apart by a nonce, so that no answer can be mistaken for another.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from harness.core.text import clean, clean_lines, integer
from harness.core.types import Conditions

_CPU = "/sys/devices/system/cpu"

PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc_manufacturer": "ro.soc.manufacturer",
    "soc_model": "ro.soc.model",
    "hardware": "ro.hardware",
    "abi": "ro.product.cpu.abi",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "fingerprint": "ro.build.fingerprint",
    "serial": "ro.serialno",
    "qemu_boot": "ro.boot.qemu",
    "qemu_kernel": "ro.kernel.qemu",
}

SERIAL_QUESTION = f"getprop {PROPERTIES['serial']}"

IDENTITY_QUESTIONS = {name: f"getprop {prop}" for name, prop in PROPERTIES.items()} | {
    "frequencies": f"for c in {_CPU}/cpu[0-9]*; do "
    'f=$(cat "$c/cpufreq/cpuinfo_max_freq" 2>/dev/null); echo "${c##*/cpu} ${f:-0}"; done',
    "memory": "grep MemTotal /proc/meminfo",
}

CONDITION_QUESTIONS = {
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    "power": "dumpsys power | grep mWakefulness=",
    "frequencies": f"cat {_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq",
    "limits": f"cat {_CPU}/cpu[0-9]*/cpufreq/scaling_max_freq",
    "governors": f"cat {_CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    "load": "cat /proc/loadavg",
}

MAX_ANSWER = 20_000
MAX_CORE = 1023  # limits the number of bits in a mask


class Script:
    """Several questions as one command, and its output as their answers."""

    def __init__(self, questions: Mapping[str, str]) -> None:
        self._nonce = secrets.token_hex(8)
        self._names = tuple(questions)
        parts = (f"echo; echo {self._nonce}; {command}" for command in questions.values())
        self.command = "; ".join(parts)

    def answers(self, output: bytes) -> dict[str, str]:
        """The answers by name, as clean lines; empty if there was none."""
        sections = clean_lines(output).split(f"\n{self._nonce}\n")[1:]
        found = dict(zip(self._names, sections, strict=False))
        return {name: found.get(name, "")[:MAX_ANSWER].strip() for name in self._names}


class Core(NamedTuple):
    """`max_khz` is 0 where the phone does not report it."""

    number: int
    max_khz: int


class Identity(NamedTuple):
    """What does not change while the phone runs."""

    model: str
    soc: str | None
    abi: str | None
    android: str | None
    sdk: int
    fingerprint: str | None
    serial: str | None
    emulated: bool
    cores: tuple[Core, ...]
    ram_bytes: int | None


def read_identity(answers: Mapping[str, str]) -> Identity:
    """Read the answers to IDENTITY_QUESTIONS."""
    get = {name: clean(answers.get(name, ""), 120) for name in PROPERTIES}
    cores = []
    for line in answers.get("frequencies", "").splitlines():
        fields = line.split()
        if len(fields) != 2:
            continue
        number, khz = integer(fields[0], MAX_CORE), integer(fields[1])
        if number is not None and khz is not None:
            cores.append(Core(number, khz))
    memory_kib = _number(r"MemTotal:\s+(\d+) kB", answers.get("memory", ""))
    soc = " ".join(filter(None, (get["soc_manufacturer"], get["soc_model"]))) or get["hardware"]
    model = get["model"]
    if get["manufacturer"] and not model.startswith(get["manufacturer"]):
        model = f"{get['manufacturer']} {model}"
    return Identity(
        model=model.strip() or "unknown",
        soc=soc or None,
        abi=get["abi"] or None,
        android=get["android"] or None,
        sdk=integer(get["sdk"], 10_000) or 0,
        fingerprint=get["fingerprint"] or None,
        serial=get["serial"] or None,
        emulated="1" in (get["qemu_boot"], get["qemu_kernel"]),
        cores=tuple(sorted(cores)),
        ram_bytes=None if memory_kib is None else memory_kib * 1024,
    )


def read_conditions(answers: Mapping[str, str]) -> Conditions:
    """From the answers to CONDITION_QUESTIONS. The temperature is the skin sensor's, or else the
    battery's: throttling depends on these, not on the chip's own."""
    battery = answers.get("battery", "")
    level = _number(r"^\s*level: (\d+)", battery)
    tenths = re.search(r"^\s*temperature: (-?\d+)\s*$", battery, re.MULTILINE)
    warmth = None if tenths is None else _float(tenths[1])
    powered = re.findall(r"^\s*\w+ powered: (true|false)", battery, re.MULTILINE)
    thermal = answers.get("thermal", "")
    skin = re.search(r"mValue=(-?[\d.]+), mType=3,", thermal)
    wakefulness = re.search(r"mWakefulness=(\w+)", answers.get("power", ""))
    governors = sorted(set(answers.get("governors", "").split()))
    load = answers.get("load", "").split()[:1]
    return Conditions(
        load_average=_float(load[0]) if load else None,
        frequency_khz=_numbers(answers.get("frequencies", "")),
        limit_khz=_numbers(answers.get("limits", "")),
        governor=clean(", ".join(governors), 80) or None,
        temperature_c=_float(skin[1]) if skin else None if warmth is None else warmth / 10,
        thermal_status=_number(r"^\s*Thermal Status: (\d+)", thermal),
        battery_percent=level,
        on_battery="true" not in powered if powered else None,
        screen_on=wakefulness[1] == "Awake" if wakefulness else None,
    )


GROUPS = ("big", "mid", "little")


def core_mask(affinity: str, cores: tuple[Core, ...]) -> str | None:
    """`all` -> None; `big` -> the cores with the highest frequency, `little` with the lowest, `mid`
    those between; a hexadecimal mask as it is. Hexadecimal without 0x, as taskset wants it. Raises
    ValueError."""
    if affinity == "all":
        return None
    if affinity in GROUPS:
        chosen = _group(affinity, cores)
        return f"{sum(1 << c.number for c in chosen):x}"
    mask = int(affinity, 16)
    if mask <= 0:
        raise ValueError("a mask of no cores")
    known = sum(1 << c.number for c in cores)
    if cores and mask & ~known:
        missing = next(n for n in range(mask.bit_length()) if mask & ~known & 1 << n)
        raise ValueError(f"the phone has no core {missing}; all of its cores are {known:x}")
    return f"{mask:x}"


def _group(name: str, cores: tuple[Core, ...]) -> list[Core]:
    levels = sorted({c.max_khz for c in cores if c.max_khz})
    if not levels:
        raise ValueError("the phone does not report the frequencies of its cores")
    wanted = {"big": levels[-1:], "little": levels[:1], "mid": levels[1:-1]}[name]
    if len(levels) == 1 and name != "big":
        raise ValueError("all cores of the phone have the same highest frequency")
    if not wanted:
        raise ValueError("the phone has two groups of cores, big and little, and none between")
    return [c for c in cores if c.max_khz in wanted]


def cores_of(mask: str | None, cores: tuple[Core, ...]) -> str:
    """What a mask names: `2 x 2.85 GHz`, or `4 x 1.80 GHz + 2 x 2.35 GHz`, slowest first; empty
    where the phone does not report frequencies."""
    chosen = [c.max_khz for c in cores if mask is None or int(mask, 16) >> c.number & 1]
    if not chosen or not all(chosen):
        return ""
    return " + ".join(f"{chosen.count(k)} x {k / 1e6:.2f} GHz" for k in sorted(set(chosen)))


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text, re.MULTILINE)
    return integer(match[1]) if match else None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(n for n in map(integer, text.split()) if n is not None)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
