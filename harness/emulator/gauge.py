"""The battery's gauge and the meters of power rails of an emulated phone, as files in its /sys.

They show an invented draw: a constant when idle, and more while the runner computes.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from pathlib import Path

from harness.emulator.faults import Faults

IDLE_MA, LOAD_MA = 120, 480  # the load comes on top
VOLTAGE_UV = 4_187_000
EVERY_S = 0.02
_BATTERY = "sys/class/power_supply/battery"
# Rails and the share of the power that each has; a model cannot load the last one.
_RAILS = {"S2M_VDD_CPUCL2": 0.5, "S4M_VDD_CPUCL0": 0.2, "S1M_VDD_MIF": 0.2, "VSYS_PWR_MODEM": 0.1}


class Gauge:
    """Writes the files from `start` to `close`, in a thread of its own."""

    def __init__(self, root: Path, faults: Faults, *, rails: bool, charging: bool) -> None:
        self._root, self._faults = root, faults
        self._rails, self._charging = rails, charging
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = time.monotonic()
        self._noise = random.Random(7)
        self._spent_uws = dict.fromkeys(_RAILS, 0.0)
        self._last = self._began

    def start(self) -> None:
        """Once; what is there already stays."""
        if self._thread is None:
            self._show()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            with contextlib.suppress(OSError):  # the phone is being taken down
                self._show()

    def _show(self) -> None:
        now = time.monotonic()
        milliamperes = IDLE_MA + (LOAD_MA if self._loaded() else 0) + self._noise.uniform(-3, 3)
        self._show_rails(now, milliamperes * VOLTAGE_UV / 1000)
        if self._faults.battery_current == "unreadable":
            return
        unit = 1 if self._faults.battery_current == "milliamperes" else 1000
        sign = 1 if self._faults.battery_current == "positive" or self._charging else -1
        if self._faults.battery_current == "stuck":
            milliamperes = 250
        self._write(f"{_BATTERY}/current_now", str(round(sign * milliamperes * unit)))
        self._write(f"{_BATTERY}/voltage_now", str(VOLTAGE_UV))
        self._write(f"{_BATTERY}/status", "Charging" if self._charging else "Discharging")

    def _show_rails(self, now: float, microwatts: float) -> None:
        if not self._rails:
            return
        ms = int((now - self._began) * 1000)
        lines = [f"t={ms}"]
        for number, (name, part) in enumerate(_RAILS.items()):
            self._spent_uws[name] += microwatts * part * (now - self._last)
            lines.append(f"CH{number}(T={ms})[{name}], {int(self._spent_uws[name])}")
        self._last = now
        self._write("sys/bus/iio/devices/iio:device0/energy_value", "\n".join(lines))

    def _loaded(self) -> bool:
        """Whether a runner computes."""
        try:
            pid = int((self._root / "state/computing").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return False
        return True

    def _write(self, name: str, text: str) -> None:
        """Write a file whole, so that a reader never sees half of it."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._root / "state/draft"
        draft.write_text(f"{text}\n")
        draft.replace(path)
