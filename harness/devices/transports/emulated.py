"""The emulated phone: started for a run, reached through adb_tcp, ended with the run."""

from __future__ import annotations

import select
import tempfile

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError
from harness.core.specs import AndroidSpec
from harness.core.text import clean
from harness.devices.transports.adb_tcp import AdbTcp, split_address
from harness.system.process import Child, module, python_environment


class Emulated(AdbTcp):
    """An AdbTcp whose phone is a child process; it outlives a reconnection, and ends at close."""

    def __init__(self, spec: AndroidSpec, attendant: Attendant) -> None:
        super().__init__("127.0.0.1", 1, spec.connect_timeout_s, attendant)
        self._spec = spec
        self._phone: Child | None = None

    def connect(self) -> None:
        """See Transport."""
        if self._phone is None:
            self._address = self._start()
        super().connect()

    def close(self) -> None:
        """See Transport."""
        super().close()
        phone, self._phone = self._phone, None
        if phone:
            phone.close_input()  # which tells it to end
            phone.ended(10)
            phone.end()
            self._errors.close()

    def _start(self) -> tuple[str, int]:
        # It trusts our own key and no other: what it runs for a client, it runs as this user.
        arguments = ["--port", "0", "--profile", self._spec.profile, "--until-stdin-closes"]
        for fault in self._spec.faults:
            arguments += ["--fault", fault]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  a pipe nobody reads would fill up
        self._phone = Child(
            module("harness", "emulate", *arguments),
            stderr=self._errors,
            env=python_environment(),
        )
        ready, _, _ = select.select([self._phone.stdout], [], [], self._connect_timeout_s)
        line = self._phone.stdout.readline() if ready else b""
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
