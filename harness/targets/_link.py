"""The connection to a phone, and what was changed on it: kept over a pulled cable, undone at the
end.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.errors import HarnessError, StableDeviceError, TransientDeviceError
from harness.core.specs import AndroidSpec
from harness.core.text import clean
from harness.core.units import file_size
from harness.targets import _phone
from harness.transports import ShellResult, Transport

QUICK_S = 30.0
POLL_S = 2.0
SDK_FIXED_PERFORMANCE = 30


class PhoneLink:
    """A transport that is connected again when need be, a work folder, steady clocks.

    The folder's name is unique, so that two runs on one phone do not meet.
    """

    def __init__(self, spec: AndroidSpec, transport: Transport, attendant: Attendant) -> None:
        self.attendant = attendant
        self.work = f"{spec.work_dir.rstrip('/')}/mobile-bench-{uuid.uuid4().hex[:12]}"
        self.fixed_performance = False
        self._spec = spec
        self._transport = transport
        self._broken = True  # until connected: the next call connects first
        self._identity: _phone.Identity | None = None
        self._folder_made = False
        self._pushed: dict[str, Path] = {}

    @property
    def identity(self) -> _phone.Identity:
        """What phone it is; after `open`."""
        assert self._identity is not None
        return self._identity

    def open(self) -> None:
        """Connect, and learn what phone it is."""
        self._connect()
        answers = self.ask(_phone.IDENTITY_QUESTIONS)
        self._identity = _phone.read_identity(answers)

    def close(self) -> None:
        """Undo everything and disconnect. Never raises; what could not be undone is said."""
        self.attendant.stopping.clear()  # what is done from here on must be done
        try:
            self._clean_up()
        finally:
            self._transport.close()

    # --- calls ---

    def shell(self, command: str, timeout_s: float = QUICK_S) -> ShellResult:
        """See Transport."""
        with self._careful():
            return self._transport.shell(command, timeout_s)

    def ask(self, questions: dict[str, str]) -> dict[str, str]:
        """Several questions in one round trip."""
        script = _phone.Script(questions)
        return script.answers(self.shell(script.command).stdout)

    def push(self, local: Path, remote: str) -> None:
        """See Transport; pushed again if the folder is lost with the connection."""
        self._pushed[remote] = local
        with self._careful():
            self._transport.push(local, remote, self.progress(local.name))

    def push_bytes(self, data: bytes, remote: str) -> None:
        """A small file for one launch, which is not pushed again after a reconnection."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "bytes"
            local.write_bytes(data)
            with self._careful():
                self._transport.push(local, remote)

    def read_file(self, remote: str) -> bytes | None:
        """A small file the runner may have written; None if it did not."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "file"
            try:
                with self._careful():
                    self._transport.pull(remote, local)
            except StableDeviceError:
                return None
            return local.read_bytes()

    def make_ready(self) -> None:
        """The work folder and steady clocks; what is there already stays."""
        if not self._folder_made:
            quoted = shlex.quote(self.work)
            result = self.shell(f"mkdir -p {quoted} && chmod 755 {quoted}")
            if result.exit_code:
                raise StableDeviceError(
                    "prepare",
                    f"the work folder cannot be made: {clean(result.stderr or result.stdout)}",
                    "set work_dir in devices.yaml to a folder that adb may write to",
                )
            self._folder_made = True
        if self._spec.fixed_performance and not self.fixed_performance:
            self._set_fixed_performance(on=True)

    def kill_runner(self) -> None:
        """End the process whose PID is in the work folder, if it lives."""
        pid = shlex.quote(f"{self.work}/pid")
        self.shell(f"[ -f {pid} ] && kill -9 $(cat {pid}) 2>/dev/null; rm -f {pid}")

    def recover(self) -> None:
        """Wait for the phone to be plugged in again, and bring it to where it was. Raises
        TransientDeviceError when it stays away, StableDeviceError if it is another one."""
        end = time.monotonic() + self._spec.reconnect_timeout_s
        while True:
            try:
                self._connect()
                break
            except TransientDeviceError:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                self.attendant.show(f"gone; plug it in again ({left:.0f} s left)")
                self.attendant.wait(min(POLL_S, left))
        serial = clean(self.shell("getprop ro.serialno").stdout, 120)
        if self._identity and (self._identity.serial or "") != serial:
            raise StableDeviceError(
                "reconnect",
                f"another phone was plugged in ({serial}, not {self._identity.serial})",
                "plug in the first one, or run again for this one",
            )
        self.kill_runner()
        # It may have been rebooted: nothing that was done to it is taken for granted.
        self._folder_made = False
        self.fixed_performance = False
        self.make_ready()
        for remote, local in self._pushed.items():
            self.push(local, remote)

    @contextlib.contextmanager
    def _careful(self) -> Iterator[None]:
        """A call that was broken off, by Ctrl-C too, leaves packets on the line: connect anew
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
        self._transport.connect()
        self._broken = False

    # --- what is changed on the phone ---

    def _set_fixed_performance(self, on: bool) -> None:
        if self.identity.sdk < SDK_FIXED_PERFORMANCE:
            return
        # Before the answer is known: a mode that may be on must be put back.
        self.fixed_performance = True
        word = "true" if on else "false"
        result = self.shell(f"cmd power set-fixed-performance-mode-enabled {word}")
        self.fixed_performance = on and result.exit_code == 0

    def _clean_up(self) -> None:
        for attempt in (1, 2):
            try:
                if self._folder_made:
                    self.kill_runner()
                    self.shell(f"rm -rf {shlex.quote(self.work)}")
                    self._folder_made = False
                if self.fixed_performance:
                    self._set_fixed_performance(on=False)
            except HarnessError as error:
                if attempt == 2:
                    left = [f"the folder {self.work}"] if self._folder_made else []
                    left += ["fixed-performance mode"] if self.fixed_performance else []
                    self.attendant.say(f"{' and '.join(left)} could not be undone: {error.message}")
            else:
                return

    # --- what is said ---

    def progress(self, name: str) -> Callable[[int, int], None]:
        """Tells of a copy, once a second."""
        shown = clean(name, 60)
        last = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= 1:
                last = time.monotonic()
                self.attendant.show(f"{shown}: {file_size(done)} of {file_size(total)}")

        return show
