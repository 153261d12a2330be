"""A shell command and its real exit status.

`shell,v2` frames stdout, stderr and the status. Phones from before Android 7 only have `shell`,
which merges everything and gives no status: there the command is followed by a line with a nonce
and the status. In both cases a missing end marker means that the output was cut.
"""

from __future__ import annotations

import secrets
import shlex
import struct

from harness.core.errors import StableDeviceError
from harness.core.text import integer
from harness.devices.transports import ShellResult
from harness.devices.transports._streams import (
    MAX_OUTPUT_BYTES,
    Stream,
    cut_off,
    not_adb,
    read_exactly,
)

_FRAME = struct.Struct("<BI")
_STDOUT, _STDERR, _EXIT = 1, 2, 3


def framed_service(command: str) -> str:
    """The name to open for shell v2."""
    return f"shell,v2,raw:{command}"


def read_framed(stream: Stream) -> ShellResult:
    """All frames up to the exit status."""
    outputs = {_STDOUT: bytearray(), _STDERR: bytearray()}
    buffer = bytearray()
    while True:
        kind, length = _FRAME.unpack(read_exactly(stream, buffer, _FRAME.size))
        if kind == _EXIT and length == 1:
            status = read_exactly(stream, buffer, 1)[0]
            return ShellResult(status, bytes(outputs[_STDOUT]), bytes(outputs[_STDERR]))
        if kind not in outputs:
            raise not_adb(f"shell frame {kind}")
        if length + sum(map(len, outputs.values())) > MAX_OUTPUT_BYTES:
            raise too_much_output()
        outputs[kind] += read_exactly(stream, buffer, length)


class Sentinel:
    """A command made to end with `NONCE:STATUS`."""

    def __init__(self, command: str) -> None:
        self._nonce = secrets.token_hex(16)
        # The nonce is split in the command, so that an echo of it is not taken for the end.
        half = len(self._nonce) // 2
        start, end = self._nonce[:half], self._nonce[half:]
        self.service = (
            f"shell:sh -c {shlex.quote(command)} </dev/null 2>&1; "
            f"printf '\\n%s%s:%d\\n' {start} {end} $?"
        )

    def read(self, stream: Stream) -> ShellResult:
        """The output up to the marker; line ends (a terminal may change them) become `\\n`."""
        output = bytearray()
        while data := stream.receive():
            output += data
            if len(output) > MAX_OUTPUT_BYTES:
                raise too_much_output()
        text = bytes(output).replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n")
        body, marker, status = text.rpartition(b"\n" + self._nonce.encode() + b":")
        code = integer(status.decode("ascii", "replace"), 255)
        if not marker or code is None:
            raise cut_off()
        return ShellResult(code, body, b"")


def too_much_output() -> StableDeviceError:
    """The error for more output than any command of the harness has."""
    return StableDeviceError(
        "link",
        f"a command on the phone printed more than {MAX_OUTPUT_BYTES >> 20} MiB",
        "the runner or the phone is broken; try another runner (devices.yaml: runner)",
    )
