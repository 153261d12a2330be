"""The connection to a phone, and what was changed on it: both outlive a pulled cable, and the
changes are undone at the end. Only the phone that was met first is ever touched.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, StableDeviceError, TransientDeviceError
from harness.core.specs import AndroidSpec
from harness.core.text import clean, clean_lines, count
from harness.core.units import file_size
from harness.devices.android import facts
from harness.devices.android.lease import BUSY, NO_FOLDER, Lease, no_folder
from harness.devices.runners.benchmark_app import PACKAGE
from harness.devices.transports import ShellResult, Transport
from harness.system import interrupts, plugins

PROBE_TIMEOUT_S = 5.0
QUICK_S = 30.0
POLL_S = 2.0
SDK_FIXED_PERFORMANCE = 30
PATIENCE_S = 5.0  # how long to wait for a phone that is away when its changes are to be undone


def lease_s(spec: AndroidSpec) -> float:
    """How long a lease lasts that is not renewed: longer than any pause between commands to the
    phone."""
    return spec.launch_timeout_s * 2 + spec.reconnect_timeout_s + 60


class Change(NamedTuple):
    """A change to the phone: what it is, and the shell commands that make it and undo it."""

    name: str
    do: str
    undo: str


class PhoneLink:
    """A transport that reconnects when necessary, a work folder, steady clocks.

    A lease on the phone keeps other runs away. `run` is the name that
    they are shown.
    """

    def __init__(
        self, spec: AndroidSpec, transport: Transport, attendant: Attendant, run: str
    ) -> None:
        self.attendant = attendant
        self.work = f"{spec.work_dir.rstrip('/')}/mobile-bench-{uuid.uuid4().hex[:12]}"
        self._spec = spec
        self._transport = transport
        self.clocks_refused = ""  # what the phone said when it refused fixed-performance mode
        self._broken = True  # until connected: the next call connects first
        self._identity: facts.Identity | None = None
        # What is in place on the phone as far as we know: changes, and paths of files.
        self._in_place: set[Change | str] = set()
        # Changes that must be undone: each is here from before it is asked for until the phone
        # confirms that it was undone.
        self._owed: list[Change] = []
        work, pid = shlex.quote(self.work), shlex.quote(f"{self.work}/pid")
        self._kill = f"[ -f {pid} ] && kill -9 $(cat {pid}) 2>/dev/null; rm -f {pid}"
        self._folder = Change(
            f"the folder {self.work}",
            # Not its parents too: a mistyped work_dir must not be made.
            f"[ -d {work} ] || mkdir {work} && chmod 755 {work}",
            f"rm -rf {work}",
        )
        self._lease = Lease(
            lambda command: self._careful_shell(command, QUICK_S),
            attendant,
            work_dir=spec.work_dir,
            work=self.work,
            run=run,
            lasts_s=lease_s(spec),
        )
        self._leased = Change("the lease on the phone", "true", self._lease.undo)
        self.leftovers: tuple[str, ...] = ()  # folders of killed runs, which we removed
        fixed = "cmd power set-fixed-performance-mode-enabled"
        self._clocks = Change("fixed-performance mode", f"{fixed} true", f"{fixed} false")

    @property
    def identity(self) -> facts.Identity:
        """What phone it is; after `open`."""
        assert self._identity is not None
        return self._identity

    @property
    def fixed_performance(self) -> bool:
        """Whether we have switched fixed-performance mode on."""
        return self._clocks in self._in_place

    def open(self) -> None:
        """Connect, and learn what phone it is."""
        self._connect()
        answers = self.ask(facts.IDENTITY_QUESTIONS)
        self._identity = facts.read_identity(answers)

    def close(self) -> None:
        """Undo everything and disconnect, whatever signal comes meanwhile. Prints what
        could not be undone. Raises only that signal's KeyboardInterrupt, at the end."""
        with interrupts.held():
            self.attendant.begin_restoring()
            try:
                self._clean_up()
            finally:
                self._transport.close()

    # --- calls ---

    def shell(self, command: str, timeout_s: float = QUICK_S) -> ShellResult:
        """See Transport. The lease is renewed on the way."""
        if self._leased in self._in_place:
            self._lease.renew()
        return self._careful_shell(command, timeout_s)

    def _careful_shell(self, command: str, timeout_s: float) -> ShellResult:
        with self._careful():
            return self._transport.shell(command, timeout_s)

    def ask(self, questions: dict[str, str]) -> dict[str, str]:
        """Several questions in one round trip."""
        script = facts.Script(questions)
        return script.answers(self.shell(script.command).stdout)

    def bring(self, local: Path, remote: str, sha256: str | None = None) -> None:
        """Push a file that stays, unless it is there already. `sha256` as for Transport.push."""
        if remote not in self._in_place:
            with self._careful():
                progress = self.progress(local.name)
                self._transport.push(local, remote, progress, sha256=sha256)
            self._in_place.add(remote)

    def push_bytes(self, data: bytes, remote: str) -> None:
        """A small file for one launch."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "bytes"
            local.write_bytes(data)
            with self._careful():
                self._transport.push(local, remote)

    def read_file(self, remote: str, max_bytes: int) -> bytes | None:
        """A file the runner may have written, no larger than that; None if it did not."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "file"
            try:
                with self._careful():
                    self._transport.pull(remote, local, max_bytes)
            except StableDeviceError as error:
                if error.stage == "pull":
                    return None
                raise
            return local.read_bytes()

    def make_ready(self) -> None:
        """The lease, the work folder and steady clocks; what is there already stays."""
        self._take_lease()
        if result := self._make(self._folder):
            raise no_folder(result)
        steady = self._spec.fixed_performance and self.identity.sdk >= SDK_FIXED_PERFORMANCE
        if not steady or self.clocks_refused:
            return
        if result := self._make(self._clocks):
            said = clean(result.stderr or result.stdout, 120) or f"status {result.exit_code}"
            self.clocks_refused = said
            self.attendant.say(f"the phone refuses fixed-performance mode: {said}")

    def _take_lease(self) -> None:
        """Keep other runs away, and remove what runs that were killed have left."""
        if self._leased in self._in_place:
            return
        if self._leased in self._owed:  # the phone was away: the lease is still ours, or lost
            self._lease.renew(at_once=True)
            self._in_place.add(self._leased)
            return
        # Noted before the lease is asked for: an interrupted call may already have taken it.
        self._owed.append(self._leased)
        try:
            former = self._lease.take(self._spec.wait_s)
        except HarnessError as error:
            if getattr(error, "stage", "") in (BUSY, NO_FOLDER):
                self._owed.remove(self._leased)
            raise
        self._in_place.add(self._leased)
        if former is not None:
            self.attendant.say(
                f"took the phone over from run {clean(former.run, 60)} on "
                f"{clean(former.host, 60)}, which has ended without releasing it"
            )
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """With the lease, every other folder of ours is that of a run that was killed."""
        base = shlex.quote(self._spec.work_dir.rstrip("/"))
        found = self.shell(
            f'for d in {base}/mobile-bench-????????????; do [ -d "$d" ] || continue; '
            '[ -f "$d/pid" ] && kill -9 $(cat "$d/pid") 2>/dev/null; '
            f'[ -f "$d/app" ] && pm uninstall {PACKAGE} >/dev/null 2>&1; '
            'rm -rf "$d" && echo "$d"; done'
        )
        self.leftovers = tuple(filter(None, clean_lines(found.stdout).split("\n")))
        if self.leftovers:
            self.attendant.say(
                f"removed {count(len(self.leftovers), 'folder')} that earlier runs had left on "
                "the phone"
            )

    def make(self, change: Change) -> ShellResult | None:
        """Do it unless it is in place, and undo it at the end; the phone's answer if it refuses."""
        return self._make(change)

    def _make(self, change: Change) -> ShellResult | None:
        """Do it unless it is in place; the phone's answer if it refuses."""
        if change in self._in_place:
            return None
        # Noted before it is asked for: an interrupted call may have done its work.
        owed_before = change in self._owed
        if not owed_before:
            self._owed.append(change)
        result = self.shell(change.do)
        if result.exit_code == 0:
            self._in_place.add(change)
            return None
        if not owed_before:
            self._owed.remove(change)
        return result

    def kill_runner(self) -> None:
        """End the process whose PID is in the work folder, if it lives."""
        self.shell(self._kill)

    def recover(self) -> None:
        """Wait for the phone to be plugged in again, and end what still runs on it. Raises
        TransientDeviceError when it stays away, or another one takes its place. Earlier
        changes are not assumed to be in place, because the phone may have been restarted."""
        end = time.monotonic() + self._spec.reconnect_timeout_s
        while True:
            try:
                self._connect()
                break
            except TransientDeviceError as error:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                gone = error.message if error.stage == "another" else "gone"
                self.attendant.show(f"{gone}; plug it in again ({left:.0f} s left)")
                self.attendant.wait(min(POLL_S, left))
        self._in_place.clear()
        self.kill_runner()

    @contextlib.contextmanager
    def _careful(self) -> Iterator[None]:
        """A call that was interrupted, also by Ctrl-C, leaves packets on the line: connect again
        before the next one."""
        if self._broken:
            self._connect()
        self._broken = True
        try:
            yield
        except StableDeviceError as error:
            self._broken = error.stage == "link"
            raise
        self._broken = False

    def _connect(self) -> None:
        """Connect, and see that it is the same phone as before."""
        self._broken = True
        self._transport.connect()
        if self._identity is not None:
            answer = self._transport.shell(facts.SERIAL_QUESTION, QUICK_S)
            serial, wanted = clean(answer.stdout, 120), self._identity.serial or ""
            if serial != wanted:
                self._transport.close()
                raise TransientDeviceError(
                    "another",
                    f"another phone is connected ({serial or 'without serial'}, not {wanted})",
                    "plug in the first one and go on with --resume, or run again for this one",
                )
        self._broken = False

    # --- leaving ---

    def _clean_up(self) -> None:
        """Undo all changes, and try once more if that fails, because the phone may be back in a
        moment."""
        if not self._owed:
            return
        if reason := self._undo():
            end = time.monotonic() + min(PATIENCE_S, self._spec.reconnect_timeout_s)
            while self._owed and time.monotonic() < end:
                self.attendant.wait(0.2)
                reason = self._undo()
        if not self._owed:
            return
        serial = (self._identity.serial if self._identity else None) or "the phone"
        names = " and ".join(change.name for change in self._owed)
        by_hand = shlex.quote("; ".join(change.undo for change in self._owed))
        self.attendant.say(
            f"{names} could not be undone on {serial}: {reason}; when it is back, run: "
            f"adb shell {by_hand}"
        )

    def _undo(self) -> str:
        """Why a change could not be undone; empty if all are undone."""
        reason = ""
        try:
            self.kill_runner()
            for change in reversed(tuple(self._owed)):
                result = self.shell(change.undo)
                if result.exit_code == 0:
                    self._owed.remove(change)
                else:
                    said = clean(result.stderr or result.stdout, 120)
                    reason = f"status {result.exit_code}: {said}"
        except HarnessError as error:
            return error.message
        return reason

    # --- what is said ---

    def progress(self, name: str) -> Callable[[int, int], None]:
        """Shows how far a copy is, once a second."""
        shown = clean(name, 60)
        last = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= 1:
                last = time.monotonic()
                self.attendant.show(f"{shown}: {file_size(done)} of {file_size(total)}")

        return show


@contextlib.contextmanager
def quick_link(spec: AndroidSpec, attendant: Attendant) -> Iterator[PhoneLink]:
    """A connection with a short time-out, which changes nothing on the phone."""
    spec = msgspec.structs.replace(
        spec,
        fixed_performance=False,
        connect_timeout_s=min(spec.connect_timeout_s, PROBE_TIMEOUT_S),
    )
    module = plugins.load("harness.devices.transports", spec.transport)
    transport = module.open_transport(spec, attendant)
    link = PhoneLink(spec, transport, attendant, "devices")
    try:
        link.open()
        yield link
    finally:
        link.close()
