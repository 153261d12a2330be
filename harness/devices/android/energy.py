"""Power that a phone draws during a sustained launch, read on the phone itself.

The battery, by its fuel gauge in /sys/class/power_supply. The kernel's documentation wants
microamperes, negative while discharging, and microvolts (Documentation/ABI/testing/
sysfs-class-power); phones differ. A Xiaomi Mi A1 reports microamperes, positive while discharging,
a Huawei P8 Lite milliamperes, negative (github.com/community-code/amps, issue 1); a Samsung S21
milliamperes (home-assistant/android, issue 2846). So the sign is not used, but must be the same in
all readings, and the unit follows from their size under load: a phone whose processor works draws
more than 20 mA and less than 20 A. While it charges, the battery reports what flows in: a Pixel 3a
on its cable reported 976, a milliampere (MatteCarra/AccA, issue 35).

Power rails, by the meters of Pixel 6 and later (drivers/iio/power/odpm.c of their kernels), which
shells of released builds may not read. `energy_value` of a meter, captured from a Pixel 6 by AOSP:

    t=349894
    CH0(T=349894)[S10M_VDD_TPU], 5578756
    CH3(T=349894)[S2M_VDD_CPUCL2], 30203502

T is in ms since the phone started, the value in microwatt seconds since then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from harness.core.attendant import Attendant
from harness.core.power import Drawn, PowerSource
from harness.core.text import clean_lines, integer
from harness.core.types import Conditions, Finding, LatencySummary, Timing
from harness.core.units import NS_PER_S
from harness.devices.android.link import PhoneLink

EVERY_S = 1.0
IDLE_S = 60.0  # before, and as long after
SETTLE_S = 10.0  # after the load: gauges average over seconds
MOST_BYTES = 1 << 20  # of the readings of a minute, which are some 100 kB where there are rails

_AMPERES = 20_000  # above it microamperes, below milliamperes
_VOLTS = 100_000  # likewise: a battery has from 2 to 20 V

# A reading: seconds since the phone started, current, voltage, the battery's status; then meters.
_READ = """power() {
read u x < /proc/uptime; c=-; v=-; s=-
for d in battery bms maxfg; do
 { read c < /sys/class/power_supply/$d/current_now; } 2>/dev/null && break; c=-
done
{ read v < /sys/class/power_supply/battery/voltage_now; } 2>/dev/null
{ read s < /sys/class/power_supply/battery/status; } 2>/dev/null
echo "$u $c $v $s"
cat /sys/bus/iio/devices/iio:device*/energy_value 2>/dev/null
}"""
_FILE = "power.txt"

_POWERED = ("Charging", "Full", "Not charging")  # with a cable

# Rails that a model can load, by what their names contain: processor, GPU, TPU, bus, memory. The
# others are the radios', the screen's and the sound's.
_RAIL = re.compile(r"VDD_CPU|VDD_G3D|VDD_TPU|VDD_INT|VDD_MIF|VDDQ_MEM|VDD2[LH]|VDD_SLC")
_LINE = re.compile(r"CH\d+\(T=(\d+)\)\[(\w+)\], *(\d+)")


class Reading(NamedTuple):
    """One moment. `current` and `voltage` as the phone reports them, None where it does not;
    `rails` maps a rail to its time in ms and its energy in microwatt seconds."""

    uptime_s: float
    current: int | None
    voltage: int | None
    status: str
    rails: dict[str, tuple[int, int]]


def readings(text: str) -> list[Reading]:
    """From what `power` printed, as clean lines. A line that was cut off is left out."""
    found: list[Reading] = []
    for line in text.split("\n"):
        if match := _LINE.fullmatch(line.strip()):
            if found and _RAIL.search(match[2]):
                found[-1].rails[match[2]] = (int(match[1]), int(match[3]))
            continue
        fields = line.split(maxsplit=3)
        if len(fields) == 4 and re.fullmatch(r"\d+\.\d+", fields[0]):
            uptime, current, voltage, status = fields
            found.append(
                Reading(float(uptime), _signed(current), _signed(voltage), status.strip(), {})
            )
    return found


Powers = Callable[[list[Reading]], tuple[int, ...]]  # microwatts


def _battery_powers(found: list[Reading], micro: bool) -> tuple[int, ...]:
    return tuple(
        round(abs(r.current) * (1 if micro else 1000) * _volts(r.voltage))
        for r in found
        if r.current is not None and r.voltage is not None
    )


def _volts(voltage: int) -> float:
    return voltage / (1e6 if voltage > _VOLTS else 1e3)


def _rail_powers(found: list[Reading]) -> tuple[int, ...]:
    """The power between every two readings; a meter without a new value in between gives none."""
    powers = []
    for one, two in pairwise(found):
        spent = [
            (energy - one.rails[name][1], at - one.rails[name][0])
            for name, (at, energy) in two.rails.items()
            if name in one.rails
        ]
        if spent and all(energy >= 0 and ms > 0 for energy, ms in spent):
            powers.append(round(sum(energy / ms * 1000 for energy, ms in spent)))
    return tuple(powers)


def _signed(text: str) -> int | None:
    value = integer(text.removeprefix("-"))
    return value if value is None or not text.startswith("-") else -value


class Meter:
    """Reads the power of one sustained launch. `total_s` is how long the load goes on. `absent`
    maps a source to why it has no readings; `charging` says that the phone was not on its battery.
    """

    def __init__(self, link: PhoneLink, attendant: Attendant, total_s: float) -> None:
        self._link, self._attendant = link, attendant
        self._idle_s = min(IDLE_S, total_s / 4)
        self._every_s = min(EVERY_S, self._idle_s / 10)
        self._idle: list[list[Reading]] = []
        self._loaded: list[list[Reading]] = []
        self._paces: list[int] = []
        self.absent: dict[str, str] = {}
        self.charging = False
        self._works = False

    def begin(self, before: Conditions) -> None:
        """Read the idle draw, if the phone reports any draw."""
        (first, *_) = self._wait(0) or [Reading(0, None, None, "", {})]
        if first.current is None or first.voltage is None:
            self.absent["battery"] = "the phone does not let its shell read the battery's current"
        if not first.rails:
            self.absent["rails"] = "the phone does not let its shell read meters of power rails"
        self._see(before)
        self._works = len(self.absent) < 2
        if self._works:
            self._attendant.show("reading what it draws when idle")
            self._idle.append(self._wait(self._idle_s))

    def _see(self, now: Conditions) -> None:
        if now.on_battery is False and not self.charging:
            self.charging = True
            self.absent.setdefault("battery", "the phone charges")

    @property
    def beside(self) -> str:
        """Shell commands before the runner takes the shell's place: they read until it ends."""
        if not self._works:
            return ""
        loop = f"while kill -0 $$; do power; sleep {self._every_s:g}; done"
        return f"{_READ}\n( {loop} ) > {_FILE} 2>/dev/null < /dev/null & "

    def loaded(self, latency: LatencySummary, timing: Timing, after: Conditions) -> None:
        """Fetch the readings of a stretch. Its timed iterations are the last thing that the runner
        does, for `timing.min_time_ns` or longer: earlier readings are of loading and warming up."""
        self._see(after)
        if not self._works:
            return
        data = self._link.read_file(f"{self._link.work}/{_FILE}", MOST_BYTES) or b""
        found = readings(clean_lines(data))
        pace = max(latency.mean_ns or latency.median_ns, timing.cadence_ns or 0)
        lasted_ns = max(timing.min_time_ns, pace * latency.count)
        if found:
            # The loop ended after its last reading, at most one pause later.
            since = found[-1].uptime_s + self._every_s - lasted_ns / NS_PER_S
            found = [r for r in found if r.uptime_s > since]
        self._loaded.append(found)
        self._paces.append(lasted_ns // latency.count)

    def end(self) -> tuple[Drawn, ...]:
        """Read the idle draw again, and return the result."""
        if not self._works or ("battery" in self.absent and "rails" in self.absent):
            return ()
        self._attendant.wait(min(SETTLE_S, self._idle_s))
        self._idle.append(self._wait(self._idle_s))
        found = []
        if "battery" not in self.absent and (drawn := self._at_the_battery()):
            found.append(drawn)
        if "rails" not in self.absent:
            found.append(self._drawn("rails", "µWs", _rail_powers))
        return tuple(found)

    def _wait(self, seconds: float) -> list[Reading]:
        """Only read, for this long, and at least once."""
        count = max(1, round(seconds / self._every_s))
        loop = f"i=0; while [ $i -lt {count} ]; do power; sleep {self._every_s:g}; i=$((i+1)); done"
        command = f"{_READ}\n{loop if seconds else 'power'}"
        result = self._link.shell(command, seconds * 4 + 30)
        return readings(clean_lines(result.stdout))

    def _at_the_battery(self) -> Drawn | None:
        under_load = [r.current for part in self._loaded for r in part if r.current]
        every = [r for part in (*self._idle, *self._loaded) for r in part]
        currents = [r.current for r in every if r.current]
        if any(r.status in _POWERED for r in every):
            self.charging = True
            self.absent["battery"] = "the phone charges"
        elif not under_load:
            self.absent["battery"] = "the battery's current was not read under load"
        elif min(currents) < 0 < max(currents):
            self.absent["battery"] = "the sign of the battery's current changes"
        elif len(set(currents)) == 1 and len(currents) > 1:
            self.absent["battery"] = "the battery's gauge shows the same current all the time"
        else:
            micro = max(map(abs, under_load)) > _AMPERES
            return self._drawn(
                "battery", "µA" if micro else "mA", lambda part: _battery_powers(part, micro)
            )
        return None

    def _drawn(self, source: PowerSource, unit: str, powers: Powers) -> Drawn:
        before, after = map(powers, self._idle)
        return Drawn(
            source=source,
            unit=unit,
            every_ns=round(self._every_s * NS_PER_S),
            idle_before=before,
            idle_after=after,
            loaded=tuple(map(powers, self._loaded)),
            ns_per_inference=tuple(self._paces),
        )


def absent_fields(meter: Meter) -> dict[str, str]:
    """Why sources have no readings, for `absent` of a launch."""
    return {f"drawn:{source}": why for source, why in meter.absent.items()}


def notes(meter: Meter) -> list[Finding]:
    """A warning where the phone charged, so that its battery's current says nothing."""
    if not meter.charging:
        return []
    return [
        Finding(
            level="warning",
            code="charging",
            message="the phone charged or was on a cable, so the current of its battery is not "
            "what it drew",
            fix="for energy per inference reach it without a cable (adb tcpip 5555, then "
            "transport: adb_tcp) and off its charger",
        )
    ]
