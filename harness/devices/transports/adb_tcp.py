"""A phone at a TCP address: `adb tcpip`, an Android device on the network, the emulated device."""

from __future__ import annotations

import contextlib
import errno
import socket

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError, TransientDeviceError
from harness.core.specs import AndroidSpec
from harness.core.text import integer
from harness.devices.transports._direct import DirectTransport
from harness.devices.transports._streams import Deadline, cut_off

DEFAULT_PORT = 5555


class TcpPipe:
    """A socket that sends all or raises, and for which the end of the connection is an error."""

    def __init__(self, host: str, port: int, timeout_s: float, attendant: Attendant) -> None:
        self.deadline = Deadline(timeout_s, attendant)
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Open the socket; raises TransientDeviceError."""
        address = f"{self._host}:{self._port}"
        try:
            self._socket = socket.create_connection(
                (self._host, self._port), timeout=self.deadline.left()
            )
        except OSError as error:
            raise TransientDeviceError("connect", *_no_connection(address, error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Never raises."""
        sock, self._socket = self._socket, None
        if sock:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def read(self, size: int) -> bytes:
        """See Pipe."""
        if self._socket is None:
            raise cut_off()
        while True:
            self._socket.settimeout(self.deadline.slice())
            try:
                data = self._socket.recv(size)
                break
            except TimeoutError:
                continue
            except OSError as error:
                raise cut_off() from error
        if not data:
            raise cut_off()
        self.deadline.spend(len(data))
        return data

    def write(self, data: bytes | memoryview) -> None:
        """See Pipe."""
        if self._socket is None:
            raise cut_off()
        self._socket.settimeout(self.deadline.left())
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise self.deadline.passed() from None
        except OSError as error:
            raise cut_off() from error


class AdbTcp(DirectTransport):
    """See the module."""

    def __init__(
        self, host: str, port: int, connect_timeout_s: float, attendant: Attendant
    ) -> None:
        super().__init__(connect_timeout_s, attendant)
        self._address = (host, port)

    def _make_pipe(self) -> TcpPipe:
        return TcpPipe(*self._address, self._connect_timeout_s, self._attendant)


def open_transport(spec: AndroidSpec, attendant: Attendant) -> AdbTcp:
    """Needs `address` in devices.yaml."""
    if not spec.address:
        raise ConfigError("transport adb_tcp needs an address", "add `address: 192.168.0.20:5555`")
    address = split_address(spec.address, DEFAULT_PORT)
    return AdbTcp(*address, spec.connect_timeout_s, attendant)


def split_address(address: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port`; raises ConfigError."""
    host, separator, port = address.rpartition(":")
    if not separator or address.endswith("]"):
        return address.strip("[]"), default_port
    number = integer(port, 65535)
    if not number or not host:
        raise ConfigError(f"address {address!r} is not host:port", "write `192.168.0.20:5555`")
    return host.strip("[]"), number


def _no_connection(address: str, error: OSError) -> tuple[str, str]:
    """What to do when nobody answers depends on whose address it is."""
    if address.startswith(("127.", "localhost", "::1")):
        fix = (
            "start what listens there: a tunnel (adb forward, ssh -L), or the emulated phone "
            "(python -m harness emulate)"
        )
    else:
        fix = "connect the phone by cable once and run: adb tcpip 5555"
    reason = "refused" if error.errno == errno.ECONNREFUSED else str(error)
    return f"no phone answers at {address} ({reason})", fix
