"""One harness at a time on a phone: a lease, kept as a folder on the phone itself.

Two runs on one phone would slow each other down, and the first to end would switch
fixed-performance mode off for the other. So whoever measures makes the folder
`WORK_DIR/mobile-bench.lease`, whatever the transport, the adb server or the computer. It is made
under another name and renamed, which succeeds for only one of several. It holds who made it and
until when. The holder renews it while it lives, so that the lease of a holder that was killed ends
by itself. All times are the phone's own.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError, StableDeviceError, TransientDeviceError
from harness.core.text import clean
from harness.core.units import duration
from harness.devices.transports import ShellResult

NAME = "mobile-bench.lease"
BUSY = "busy"  # the stage of the error when somebody else is using the phone
NO_FOLDER = "prepare"  # the stage of the error when no lease folder can be made
POLL_S = 2.0
RENEW_AFTER_S = 30.0
UNREADABLE_S = 60  # a lease without a readable holder may be taken over after this time

Shell = Callable[[str], ShellResult]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a phone. `boot` tells one start of that computer from the next; `since_s` and
    `until_s` are seconds since 1970 by the phone's clock."""

    token: str
    host: str
    boot: str
    pid: int
    run: str
    work: str
    since_s: int
    until_s: int


@dataclass(frozen=True)
class Looked:
    """The lease as it was found. `holder` is None where there is none, or it cannot be read."""

    now_s: int
    taken: bool
    holder: Holder | None
    age_s: int


class Lease:
    """A lease on the phone behind `shell`, for the run `run` that works in the folder `work`."""

    def __init__(
        self,
        shell: Shell,
        attendant: Attendant,
        *,
        work_dir: str,
        work: str,
        run: str,
        lasts_s: float,
    ) -> None:
        self._shell = shell
        self._folder = f"{work_dir.rstrip('/')}/{NAME}"
        self._work, self._run, self._lasts_s = work, run, lasts_s
        self._attendant = attendant
        self._token = uuid.uuid4().hex
        self._renewed: float | None = None  # when, by this machine's clock; None: not ours

    @property
    def undo(self) -> str:
        """The command that gives the lease back, if it is still ours."""
        folder, owner, own = map(shlex.quote, (self._folder, f"{self._folder}/owner", self._own))
        return (
            f"rm -rf {own}; "
            f"if grep -q {self._token} {owner} 2>/dev/null; then rm -rf {folder}; fi; "
            f"! grep -q {self._token} {owner} 2>/dev/null"
        )

    @property
    def _own(self) -> str:
        """The name of the folder before it becomes the lease."""
        return f"{self._folder}.{self._token}"

    def take(self, wait_s: float) -> Holder | None:
        """Take the lease. Returns the former holder if a stale lease was taken over. Raises
        TransientDeviceError, stage `busy`, if another run holds it for longer than `wait_s`."""
        end = time.monotonic() + wait_s
        while True:
            looked = self._try()
            if looked.taken:
                self._renewed = time.monotonic()
                return None
            if _is_stale(looked) and self._take_over(looked):
                self._renewed = time.monotonic()
                return looked.holder
            left = end - time.monotonic()
            if left <= 0:
                raise _busy(looked)
            self._attendant.show(f"{_who(looked)}; waiting, {left:.0f} s left")
            self._attendant.wait(min(POLL_S, left))

    def renew(self, *, at_once: bool = False) -> None:
        """Say that the holder still lives, twice a minute or `at_once`. Raises
        TransientDeviceError where the lease is lost."""
        last = self._renewed
        if last is None or (not at_once and time.monotonic() - last < RENEW_AFTER_S):
            return
        owner = shlex.quote(f"{self._folder}/owner")
        done = self._shell(f"grep -q {self._token} {owner} && {self._write(self._folder)}")
        if done.exit_code and not (looked := self._try()).taken:
            raise _busy(looked)
        self._renewed = time.monotonic()

    def _try(self) -> Looked:
        folder, owner, own = map(shlex.quote, (self._folder, f"{self._folder}/owner", self._own))
        done = self._shell(
            f"date +%s; if ! mkdir {own}; then echo nofolder; exit; fi; "
            f"if [ ! -d {folder} ]; then {self._write(self._own)} && mv {own} {folder}; "
            f"fi 2>/dev/null; if grep -q {self._token} {owner} 2>/dev/null; then echo taken; "
            # If another run was faster, our folder may have been moved into theirs.
            f"else rm -rf {own} {folder}/{NAME}.{self._token}; echo held; "
            f"stat -c %Y {folder}; cat {owner} 2>/dev/null; fi"
        )
        lines = done.stdout.decode("utf-8", "replace").split("\n")
        if len(lines) < 2 or not lines[0].strip().isdigit() or lines[1].strip() not in _ANSWERS:
            said = clean(done.stderr or done.stdout, 120)
            raise TransientDeviceError(
                "prepare", f"the phone does not say whether it is in use: {said}", "run again"
            )
        now_s = int(lines[0])
        if lines[1].strip() == "nofolder":
            raise no_folder(done)
        if lines[1].strip() == "taken":
            return Looked(now_s, True, None, 0)
        made = lines[2].strip() if len(lines) > 2 else ""
        return Looked(
            now_s,
            False,
            _read("\n".join(lines[3:])),
            now_s - int(made) if made.isdigit() else 0,
        )

    def _write(self, folder: str) -> str:
        """The command that writes the holder's file in `folder`, whole or not at all, with the
        phone's time."""
        holder = Holder(
            token=self._token,
            host=platform.node(),
            boot=_boot_id(),
            pid=os.getpid(),
            run=self._run,
            work=self._work,
            since_s=0,
            until_s=0,
        )
        text = msgspec.json.encode(holder).decode()
        before, _, after = text.partition('"since_s":0,"until_s":0')
        times = '"since_s":%d,"until_s":%d'
        owner, part = f"{folder}/owner", f"{folder}/.{self._token}"
        return (
            f"now=$(date +%s) && printf {shlex.quote(_literal(before) + times + _literal(after))} "
            f"$now $((now + {round(self._lasts_s)})) > {shlex.quote(part)} && "
            f"mv -f {shlex.quote(part)} {shlex.quote(owner)}"
        )

    def _take_over(self, looked: Looked) -> bool:
        """Take over a stale lease; whether we got it, out of all runs that see the same one. The
        run that makes the folder `over-...` looks once more, because another may have taken the
        lease over in the meantime."""
        former = looked.holder.token if looked.holder else ""
        claim = shlex.quote(f"{self._folder}/over-{former or 'unreadable'}")
        owner = shlex.quote(f"{self._folder}/owner")
        unchanged = f"grep -q {former} {owner}" if former else f"! grep -q token {owner}"
        done = self._shell(
            f"if [ -d {claim} ] && "
            f"[ $(($(date +%s) - $(stat -c %Y {claim}))) -gt {UNREADABLE_S} ]; "
            f"then rmdir {claim}; fi 2>/dev/null; mkdir {claim} 2>/dev/null || exit 1; "
            f"{unchanged} 2>/dev/null && {self._write(self._folder)}; "
            f"status=$?; rmdir {claim}; exit $status"
        )
        return done.exit_code == 0


_ANSWERS = ("taken", "held", "nofolder")


def held_by(shell: Shell, work_dir: str) -> str | None:
    """Who is using the phone and for how long, in words; None if nobody is, or if the lease has
    ended. Changes nothing on the phone."""
    owner = shlex.quote(f"{work_dir.rstrip('/')}/{NAME}/owner")
    done = shell(f"date +%s; cat {owner} 2>/dev/null")
    now, _, rest = done.stdout.decode("utf-8", "replace").partition("\n")
    holder = _read(rest)
    if holder is None or not now.strip().isdigit() or int(now) > holder.until_s:
        return None
    return _holder(holder, int(now))


def no_folder(result: ShellResult) -> StableDeviceError:
    """`work_dir` is not there, or may not be written to."""
    said = clean(result.stderr) or clean(result.stdout.decode("utf-8", "replace").split("\n")[-1])
    return StableDeviceError(
        NO_FOLDER,
        f"the work folder cannot be made: {said}",
        "set work_dir in devices.yaml to a folder that adb may write to",
    )


def _literal(text: str) -> str:
    """The text escaped for the format string of printf."""
    return text.replace("\\", "\\\\").replace("%", "%%")


def _read(text: str) -> Holder | None:
    try:
        holder = msgspec.json.decode(text.strip().encode(), type=Holder)
    except msgspec.DecodeError:
        return None
    # The token goes into commands, and files on a phone cannot be trusted.
    return holder if re.fullmatch(r"[0-9a-f]{32}", holder.token) else None


def _is_stale(looked: Looked) -> bool:
    """Whether its holder is certainly gone, or has not renewed it in time."""
    holder = looked.holder
    if holder is None:
        return looked.age_s > UNREADABLE_S
    if looked.now_s > holder.until_s:
        return True
    if not _is_here(holder):
        return False
    return holder.boot != _boot_id() or not _lives(holder.pid)


def _is_here(holder: Holder) -> bool:
    """Whether the holder runs on this computer."""
    return holder.host == platform.node()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it lives and is another user's
    return True


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _who(looked: Looked) -> str:
    holder = looked.holder
    if holder is None:
        return "the phone is in use"
    return f"the phone is in use by {_holder(holder, looked.now_s)}"


def _holder(holder: Holder, now_s: int) -> str:
    left = duration(max(0, holder.until_s - now_s) * 1e9)
    return (
        f"run {clean(holder.run, 60)} on {clean(holder.host, 60)} "
        f"(process {holder.pid}, for at most {left} unless it continues)"
    )


def _busy(looked: Looked) -> MeasurementError:
    holder = looked.holder
    if holder and holder.pid == os.getpid() and _is_here(holder):
        return TransientDeviceError(
            BUSY,
            "another entry of this run is the same phone",
            "name only one of the two with --device",
        )
    return TransientDeviceError(
        BUSY,
        _who(looked),
        "wait until it has ended, or give --wait 10m (wait_s in devices.yaml)",
    )
