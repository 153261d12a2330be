"""What Linux reports about the machine and its state; on other systems every result is None."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.core.types import Conditions

_CPU = Path("/sys/devices/system/cpu")
_POWER = Path("/sys/class/power_supply")


def read(path: Path) -> str | None:
    """A small file's text, stripped; None if it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def cpu_model() -> str | None:
    """The model name of the processor."""
    match = re.search(r"^model name\s*:\s*(.+)$", read(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return match.group(1) if match else None


def ram_bytes() -> int | None:
    """Installed memory."""
    match = re.search(r"^MemTotal:\s*(\d+) kB", read(Path("/proc/meminfo")) or "", re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None


def facts() -> dict[str, str]:
    """What may disturb a measurement: virtual machine, SMT, governor, power, as far as known."""
    found: dict[str, str] = {}
    cpuinfo = read(Path("/proc/cpuinfo"))
    if cpuinfo is not None:
        found["virtual_machine"] = "yes" if re.search(r"\bhypervisor\b", cpuinfo) else "no"
    for key, path in (
        ("smt", _CPU / "smt/active"),
        ("governor", _CPU / "cpu0/cpufreq/scaling_governor"),
        ("turbo_disabled", _CPU / "intel_pstate/no_turbo"),
    ):
        if (value := read(path)) is not None:
            found[key] = value
    return found


def on_battery() -> bool | None:
    """True if a mains supply is known and none is online; None where nothing is known."""
    online = [
        read(supply / "online")
        for supply in (_POWER.iterdir() if _POWER.is_dir() else ())
        if read(supply / "type") == "Mains"
    ]
    return None if not online else "1" not in online


class Watch:
    """The machine's state now, and the load from other processes since this object was made."""

    def __init__(self) -> None:
        self._start = _cpu_ticks()
        self._own_start = _own_ticks()

    def now(self) -> Conditions:
        """The conditions at this moment; `other_cpu_share` is over the time since the start."""
        return Conditions(
            load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            other_cpu_share=self._other_share(),
            frequency_khz=_frequencies(),
            governor=read(_CPU / "cpu0/cpufreq/scaling_governor"),
            on_battery=on_battery(),
        )

    def _other_share(self) -> float | None:
        end = _cpu_ticks()
        if self._start is None or end is None:
            return None
        busy, total = end[0] - self._start[0], end[1] - self._start[1]
        if total <= 0:
            return None
        return min(1.0, max(0.0, (busy - (_own_ticks() - self._own_start)) / total))


def _cpu_ticks() -> tuple[float, float] | None:
    """(busy, total) clock ticks of all processors since boot."""
    first = (read(Path("/proc/stat")) or "").split("\n", 1)[0].split()
    if not first or first[0] != "cpu":
        return None
    ticks = [float(t) for t in first[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _own_ticks() -> float:
    """Clock ticks that this process and its ended children have used."""
    times = os.times()
    seconds = times.user + times.system + times.children_user + times.children_system
    return seconds * (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)


def _frequencies() -> tuple[int, ...]:
    found = (read(path / "cpufreq/scaling_cur_freq") for path in sorted(_CPU.glob("cpu[0-9]*")))
    return tuple(int(f) for f in found if f and f.isdigit())
