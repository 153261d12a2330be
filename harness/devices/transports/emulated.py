"""The emulated phone, started for the run and ended with it; reached through adb_tcp like any."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import tempfile

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError
from harness.core.specs import AndroidSpec
from harness.core.text import clean
from harness.devices.transports.adb_tcp import AdbTcp, split_address


class Emulated(AdbTcp):
    """An AdbTcp whose phone is a child process; it outlives a reconnection, and ends at close."""

    def __init__(self, spec: AndroidSpec, attendant: Attendant) -> None:
        super().__init__("127.0.0.1", 1, spec.connect_timeout_s, attendant)
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        """See Transport."""
        if self._process is None:
            self._address = self._start()
        super().connect()

    def close(self) -> None:
        """See Transport."""
        super().close()
        process, self._process = self._process, None
        if process:
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
            self._errors.close()

    def _start(self) -> tuple[str, int]:
        # It trusts our own key and no other: what it runs for a client, it runs as this user.
        arguments = ["--port", "0", "--profile", self._spec.profile, "--until-stdin-closes"]
        for fault in self._spec.faults:
            arguments += ["--fault", fault]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  a pipe nobody reads would fill up
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness", "emulate", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the harness, which still needs its phone
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._connect_timeout_s)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._errors.seek(0)
            error = self._errors.read(4096) if ready else b"it did not start in time"
            self.close()
            raise ConfigError(f"the emulated phone: {clean(error)}")
        return split_address(line.decode().strip(), 0)


def open_transport(spec: AndroidSpec, attendant: Attendant) -> Emulated:
    """`profile` and `faults` of devices.yaml say which phone, and what is wrong with it."""
    if spec.address:
        raise ConfigError(
            "transport emulated starts a phone of its own and takes no address",
            "for one that is running, use `transport: adb_tcp`",
        )
    return Emulated(spec, attendant)
