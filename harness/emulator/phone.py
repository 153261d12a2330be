"""The emulated phone itself: a profile, a scratch folder that serves as its file system, its state.

The folder has the Android paths a benchmark touches: /data/local/tmp, /sys/devices/system/cpu,
/proc/meminfo, and /system/bin with the commands in `commands/`. Shell commands run on this
machine, with those paths replaced by the folder's; see `docs/explanation/emulated-device.md`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import posixpath
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from harness.core.errors import ConfigError
from harness.emulator import auth
from harness.emulator.faults import Faults, Link
from harness.emulator.gauge import Gauge
from harness.emulator.packets import VERSION_SKIP_CHECKSUM
from harness.emulator.userland import Userland, find_userland
from harness.system.plugins import unknown

HERE = Path(__file__).parent
WORK = "data/local/tmp"
SDK_SMAPS_ROLLUP = 28  # phones that ship with Android 9 have Linux 4.14, and with it this file

# Paths of the phone in a shell command: not in the middle of another path or word.
_PHONE_PATH = re.compile(
    r"(?<![\w.\-/])/(?=(?:data|sdcard|sys|system|vendor)(?:/|\b)|proc/(?:meminfo|cpuinfo)\b)"
)


class Core(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`count` cores of one kind."""

    count: int
    min_khz: int
    max_khz: int


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model of phone reports about itself. `dialect` is of its benchmark_model: A is the
    classic Interpreter's, B LiteRT's; `fixed_latency_us` makes that tool not run the model but
    sleep. With `rails` its shell may read meters of power rails, as on a rooted Pixel. `features`
    without shell_v2 play a phone from before Android 7, `adb_version` 0x01000000 plays an older
    one, which wants the sum of every packet."""

    props: dict[str, str]
    cores: tuple[Core, ...]
    ram_kb: int
    storage_kb: int = 64_000_000
    battery_percent: int = 83
    battery_temperature_c: float = 27.4
    skin_temperature_c: float = 31.2
    governor: str = "schedutil"
    dialect: Literal["A", "B"] = "A"
    fixed_latency_us: int | None = None
    rails: bool = False
    adb_version: int = VERSION_SKIP_CHECKSUM
    features: tuple[str, ...] = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir")


def load_profile(name: str) -> Profile:
    """A profile of harness/emulator/profiles by name, or a YAML file by path."""
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = HERE / "profiles" / f"{name}.yaml"
        if not path.is_file():
            raise unknown("profile", name, [p.stem for p in path.parent.glob("*.yaml")])
    try:
        text = path.read_text("utf-8").replace("@host_abi@", _host_abi())
        return msgspec.convert(yaml.safe_load(text), Profile)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}", "see pixel.yaml") from None


def _host_abi() -> str:
    machine = platform.machine().lower()
    return {"aarch64": "arm64-v8a", "arm64": "arm64-v8a", "amd64": "x86_64"}.get(machine, machine)


def pack_tool(target: Path) -> None:
    """Make one executable file that runs the folder `benchmark_model`, as a phone's runner is one.
    It differs whenever a file of the folder does. The folder itself is not packed into it, since
    Python would compile what it finds there anew in each launch, which took half of the time."""
    target.write_text(
        "#!/usr/bin/env python3\n"
        f"# of version {_tool_digest()}\n"
        "import sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from benchmark_model.tool import main\n"
        "del sys.path[0]\n"
        "main()\n",
        "utf-8",
    )
    target.chmod(0o755)


@functools.cache
def _tool_digest() -> str:
    sources = sorted((HERE / "benchmark_model").glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


class Phone:
    """State that changes, and the folder it is visible in. Thread-safe."""

    def __init__(
        self,
        profile: Profile,
        faults: Faults | None = None,
        *,
        requires_auth: bool = True,
        trusted: Iterable[bytes] | None = None,
        confirm_after_s: float = 0.0,
    ) -> None:
        """`trusted` are the public keys that are accepted; any other key is refused, as if nobody
        looked at the screen. Without `trusted`, an emulated user allows every key."""
        self.profile = profile
        self.faults = faults or Faults()
        self.link = Link(self.faults)
        self.userland: Userland = find_userland()
        self.requires_auth = requires_auth
        self.refuse_key = self.faults.refused_key or trusted is not None
        self._confirm_after_s = confirm_after_s
        self._lock = threading.Lock()
        self._first_launch: float | None = None
        self._hot_until: float | None = None
        self._launches = 0
        self._may_unplug = True
        self._groups: set[int] = set()
        self.root = Path(tempfile.mkdtemp(prefix="emulated-phone-")).resolve()
        self._furnish()
        self._gauge = Gauge(
            self.root, self.faults, rails=profile.rails, charging=self.faults.charging
        )
        if trusted is not None and not self.faults.refused_key:
            self._keys_file.write_bytes(b"".join(key.strip() + b"\n" for key in trusted))

    # --- the file system ---

    @property
    def work(self) -> Path:
        """The folder on this machine that is /data/local/tmp on the phone."""
        return self.root / WORK

    def path(self, name: bytes) -> Path:
        """A path of the phone as a path of this machine; nothing leads out of the folder."""
        inside = posixpath.normpath("/" + os.fsdecode(name)).lstrip("/")
        return self.root / inside

    def translate(self, command: str) -> str:
        """A shell command with the phone's paths made this machine's."""
        if self._sdk < SDK_SMAPS_ROLLUP:
            command = command.replace("/smaps_rollup", "/no_smaps_rollup")
        return _PHONE_PATH.sub(f"{self.root}/", command)

    def environment(self) -> dict[str, str]:
        """The environment of every command: the phone's commands first on the PATH, then this
        Python."""
        path = [
            f"{self.root}/system/bin",
            f"{self.root}/system/toybox",
            str(Path(sys.executable).parent),
            "/usr/bin",
            "/bin",
        ]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": f"{self.root}/data/local",
            "TMPDIR": str(self.work),
            "ANDROID_DATA": f"{self.root}/data",
            "EMULATED_ROOT": str(self.root),
            "LANG": "C.UTF-8",
        }

    def free_bytes(self) -> int:
        """What is left of the storage of the profile."""
        if self.faults.full_disk:
            return 8192
        used = sum(p.stat().st_size for p in (self.root / "data").rglob("*") if p.is_file())
        return self.profile.storage_kb * 1024 - used

    # --- authentication ---

    def banner(self) -> bytes:
        """What adbd says when a client is let in."""
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        props = "".join(f"{n}={self.profile.props.get(n, '')};" for n in names)
        return f"device::{props}features={','.join(self.profile.features)}".encode()

    def trusted_keys(self) -> list[auth.PublicKey]:
        """The keys in the phone's adb_keys."""
        keys = []
        for line in self._keys_file.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                keys.append(auth.parse_key(line))
        return keys

    def confirm(self, key: bytes) -> bool:
        """The dialog: the user takes a moment, then allows this computer always, or refuses."""
        time.sleep(self._confirm_after_s)
        if self.refuse_key:
            return False
        with self._lock, self._keys_file.open("ab") as file:
            file.write(key.rstrip(b"\0") + b"\n")
        return True

    @property
    def _keys_file(self) -> Path:
        return self.root / "data/misc/adb/adb_keys"

    # --- state ---

    @property
    def fixed_performance(self) -> bool:
        """Whether fixed-performance mode is on."""
        return (self.root / "state/fixed_performance").read_text().strip() == "true"

    @property
    def _sdk(self) -> int:
        """Android's API level: 29 brought thermalservice, 30 fixed-performance mode."""
        return int(self.profile.props.get("ro.build.version.sdk", "34"))

    @property
    def thermal_status(self) -> int:
        """0 none, 1 light, 2 moderate, 3 severe, ..."""
        now = time.monotonic()
        minute = self.faults.throttle_at_minute
        began = self._first_launch
        if minute is not None and began is not None and now - began >= minute * 60:
            return 2
        if self._hot_until is not None and now < self._hot_until:
            return self.faults.hot or 3
        return 0

    def before_command(self, command: str) -> None:
        """Bring the visible state up to date."""
        with self._lock:
            lasts = self.faults.hot_for_s
            until = time.monotonic() + (lasts if lasts is not None else float("inf"))
            if "--graph=" in command:
                self._launches += 1
                self._first_launch = self._first_launch or time.monotonic()
                if self._launches <= (self.faults.hot_launches or 0):
                    self._hot_until = until
            if self.faults.hot is not None and self._hot_until is None:
                self._hot_until = until
            self._show_state()
            if "power_supply" in command:
                self._gauge.start()

    def take_unplug(self) -> bool:
        """True once: the cable is pulled during one command only."""
        with self._lock:
            first, self._may_unplug = self._may_unplug, False
            return first

    def started(self, group: int) -> None:
        """A command runs in this process group."""
        with self._lock:
            self._groups.add(group)

    def ended(self, group: int) -> None:
        """Kill what is left of a command."""
        with self._lock:
            self._groups.discard(group)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Process groups of commands that have not ended."""
        with self._lock:
            return sorted(self._groups)

    def close(self) -> None:
        """End every command and remove the folder."""
        self.link.close()
        self._gauge.close()
        self._end_app()
        for group in list(self._groups):
            self.ended(group)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end_app(self) -> None:
        """The benchmark app outlives the command that started it."""
        with contextlib.suppress(OSError, ValueError):
            self.ended(int((self.root / "state/app_pid").read_text()))

    def _furnish(self) -> None:
        for folder in (WORK, "data/misc/adb", "sdcard", "state", "dumpsys", "proc", "vendor/bin"):
            (self.root / folder).mkdir(parents=True)
        self._keys_file.touch()
        shutil.copytree(HERE / "commands", self.root / "system/bin")
        pack_tool(self.root / "system/bin/benchmark_model")
        for file in (self.root / "system/bin").iterdir():
            file.chmod(0o755)
        self.userland.lay_out(self.root / "system/toybox")
        profile = self.profile
        (self.root / "proc/meminfo").write_text(
            f"MemTotal:       {profile.ram_kb} kB\nMemFree:        {profile.ram_kb // 3} kB\n"
        )
        (self.root / "proc/cpuinfo").write_text(
            "".join(f"processor\t: {n}\n\n" for n in range(sum(c.count for c in profile.cores)))
        )
        props = dict(profile.props)
        if self.faults.escape_codes:
            props["ro.product.model"] = "\x1b]0;owned\x07\x1b[31mevil\r\n<script>alert(1)</script>"
        if self.faults.path_tricks:
            props |= dict.fromkeys(("ro.serialno", "ro.product.model"), "../../../owned")
        self._write("state/props", "".join(f"{k}={v}\n" for k, v in props.items()))
        self._write("state/fixed_performance", "false")
        self._write("state/sdk", str(self._sdk))
        self._write("state/screen", "Asleep")
        self._write("state/dialect", profile.dialect)
        self._write("state/runner_fault", self.faults.runner or "")
        self._write("state/accelerator", self.faults.accelerator or "")
        self._write("state/mask_ignored", "yes" if self.faults.mask_ignored else "")
        self._write("state/app_fault", self.faults.app or "")
        self._write("state/cache", self.faults.cache or "")
        self._write("state/accelerator_answers", self.faults.accelerator_answers or "")
        self._write("state/wrong_hash", "yes" if self.faults.wrong_hash else "")
        self._write("state/read_only", "yes" if self.faults.read_only else "")
        self._write("state/fixed_latency_us", str(profile.fixed_latency_us or ""))
        self._show_state()

    def _show_state(self) -> None:
        """Write what dumpsys, df and sysfs show now."""
        profile, status = self.profile, self.thermal_status
        share = 1.0 if status == 0 else 0.6
        number = 0
        for core in profile.cores:
            for _ in range(core.count):
                folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
                self._write(f"{folder}/cpuinfo_min_freq", f"{core.min_khz}\n")
                self._write(f"{folder}/cpuinfo_max_freq", f"{core.max_khz}\n")
                self._write(f"{folder}/scaling_cur_freq", f"{int(core.max_khz * share)}\n")
                self._write(f"{folder}/scaling_max_freq", f"{int(core.max_khz * share)}\n")
                self._write(f"{folder}/scaling_governor", f"{profile.governor}\n")
                number += 1
        self._write("sys/devices/system/cpu/possible", f"0-{number - 1}\n")
        skin = profile.skin_temperature_c + 6.0 * status
        if self._sdk >= 29:
            self._write("dumpsys/thermalservice", _THERMAL.format(status=status, skin=skin))
        level = self.faults.battery_percent
        level = profile.battery_percent if level is None else level
        tenths = int(profile.battery_temperature_c * 10)
        self._write(
            "dumpsys/battery",
            _BATTERY.format(level=level, tenths=tenths, **_plugged(self.faults.charging)),
        )
        screen = (self.root / "state/screen").read_text().strip()
        self._write("dumpsys/power", f"POWER MANAGER (dumpsys power)\n  mWakefulness={screen}\n")
        self._write("state/slowdown", str(1.0 / share))
        self._write("state/free_kb", str(self.free_bytes() // 1024))
        self._write("state/storage_kb", str(profile.storage_kb))

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.read_text("utf-8") == text:
                return
        path.write_text(text, "utf-8")


def _plugged(charging: bool) -> dict[str, str]:
    """Whether the phone is on a cable or on its battery: BatteryManager.BATTERY_STATUS_CHARGING or
    _DISCHARGING."""
    return {"usb": "true", "status": "2"} if charging else {"usb": "false", "status": "3"}


_THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 3
Thermal Status: {status}
Cached temperatures:
	Temperature{{mValue={skin:.1f}, mType=3, mName=skin, mStatus={status}}}
HAL Ready: true
HAL connection:
	ThermalHAL 2.0 connected: yes
Current temperatures from HAL:
	Temperature{{mValue={skin:.1f}, mType=3, mName=skin, mStatus={status}}}
"""

_BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  Wireless powered: false
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4187
  temperature: {tenths}
  technology: Li-ion
"""
