"""A phone through a running adb server: Wi-Fi pairing, Android Studio's emulators, and machines
where another program already holds the USB port. Uses the package adbutils."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError, HarnessError, TransientDeviceError, UsageError
from harness.core.specs import AndroidSpec
from harness.core.text import clean, integer
from harness.devices.transports._base import AdbTransport
from harness.devices.transports._direct import asks_leave, not_allowed
from harness.devices.transports._streams import REPLUG, Deadline, Refused, Stream, cut_off
from harness.devices.transports.adb_tcp import split_address
from harness.devices.transports.adb_usb import NO_PHONE, several

if TYPE_CHECKING:
    from adbutils import AdbClient

DEFAULT_PORT = 5037


class ServerStream:
    """The server hands us a plain socket to the service."""

    def __init__(self, sock: socket.socket, timeout_s: float, attendant: Attendant) -> None:
        self._socket = sock
        self._deadline = Deadline(timeout_s, attendant)

    def extend(self, seconds: float) -> None:
        """See Stream."""
        self._deadline.extend(seconds)

    def send(self, data: bytes | memoryview) -> None:
        """See Stream. In pieces: the server passes on what it can, and each piece is progress."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(self._deadline.left())
            with self._translated():
                view = view[self._socket.send(view) :]

    def receive(self) -> bytes:
        """See Stream."""
        while True:
            self._socket.settimeout(self._deadline.slice())
            with self._translated(), contextlib.suppress(TimeoutError):
                data = self._socket.recv(1 << 20)
                self._deadline.spend(len(data))
                return data

    def pending(self) -> bool:
        """See Stream."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError):
            self._socket.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._deadline.passed() from None
        except OSError as error:
            raise cut_off() from error


class AdbServer(AdbTransport):
    """See the module."""

    def __init__(self, spec: AndroidSpec, attendant: Attendant) -> None:
        super().__init__()
        self._attendant = attendant
        self._host, self._port = _server(spec)
        self._serial = spec.serial
        self._address = spec.address
        self._timeout_s = spec.connect_timeout_s
        self._chosen: str | None = None

    def connect(self) -> None:
        """See Transport. The server has the key; a phone that asks its user shows up here as
        `unauthorized`."""
        client = make_client(self._host, self._port, self._timeout_s)
        deadline = Deadline(self._timeout_s, self._attendant)
        announced = False
        with translated_errors():
            if self._address:
                self._add(client, self._address)
            while True:
                serial, state = self._choose(client)
                if state == "device":
                    self._chosen = serial
                    return
                if state == "unauthorized" and not announced:
                    announced = True
                    self._attendant.say(asks_leave(self._timeout_s))
                try:
                    time.sleep(min(0.2, deadline.left()))
                except TransientDeviceError:
                    raise _not_ready(serial, state) from None

    def _add(self, client: AdbClient, address: str) -> None:
        answer = clean(client.connect(address, timeout=self._timeout_s))
        if "connected to" not in answer and "authenticate" not in answer:
            raise TransientDeviceError("connect", f"the adb server says: {answer}", REPLUG)

    def close(self) -> None:
        """See Transport: streams are connections of their own, there is nothing to close."""

    def open_stream(self, service: str, timeout_s: float) -> Stream:
        """See AdbTransport."""
        from adbutils import AdbError

        if self._chosen is None:
            raise cut_off()
        client = make_client(self._host, self._port, self._timeout_s)
        deadline = Deadline(timeout_s, self._attendant)
        with translated_errors():
            connection = client.make_connection(timeout=timeout_s)
            try:
                for request in (f"host:transport:{self._chosen}", service):
                    data = request.encode()
                    connection.conn.sendall(b"%04x" % len(data) + data)
                    # adbutils would wait for the answer even if the attendant wants to stop.
                    while not select.select([connection.conn], [], [], deadline.slice())[0]:
                        pass
                    connection.check_okay()
            except AdbError as error:
                connection.close()
                if "closed" in str(error):
                    raise Refused from None
                raise
            except BaseException:
                connection.close()
                raise
        return ServerStream(connection.conn, timeout_s, self._attendant)

    def _choose(self, client: AdbClient) -> tuple[str, str]:
        """Serial and state of the phone that is meant; raises UsageError if there are several."""
        wanted = self._chosen or self._serial or self._address
        states = {clean(d.serial, 64): clean(d.state, 32) for d in client.list()}
        if wanted is None and len(states) > 1:
            raise several(sorted(states))
        serial = wanted or next(iter(states), None)
        if serial is None or serial not in states:
            named = f" {serial}" if serial else ""
            raise TransientDeviceError("connect", f"the adb server has no phone{named}", NO_PHONE)
        return serial, states[serial]


def open_transport(spec: AndroidSpec, attendant: Attendant) -> AdbServer:
    """`serial` is needed only with several phones; with `address` the server connects to it."""
    _adbutils()
    return AdbServer(spec, attendant)


def make_client(host: str, port: int, timeout_s: float) -> AdbClient:
    """adbutils' client of a server that is running; the harness never starts one, because adbutils
    would start its own adb on another port."""
    adbutils = _adbutils()
    try:
        socket.create_connection((host, port), timeout=min(timeout_s, 5)).close()
    except OSError:
        raise TransientDeviceError(
            "connect", f"no adb server answers at {host}:{port}", "start it: adb start-server"
        ) from None
    client: AdbClient = adbutils.AdbClient(host, port, socket_timeout=timeout_s)
    return client


def _adbutils() -> ModuleType:
    try:
        import adbutils
    except ImportError:
        raise UsageError(
            "transport adb_server needs the package adbutils",
            "pip install 'mobile-bench-harness[adb-server]'",
        ) from None
    module: ModuleType = adbutils
    return module


def listed(spec: AndroidSpec) -> dict[str, str]:
    """Serial -> state (`device`, `unauthorized`, `offline`) of what the server knows."""
    client = make_client(*_server(spec), 5.0)
    with translated_errors():
        return {clean(d.serial, 64): clean(d.state, 32) for d in client.list()}


def _server(spec: AndroidSpec) -> tuple[str, int]:
    """Where the server is: as devices.yaml says, else where adb itself looks for it, by its three
    environment variables. Raises ConfigError for a value that adb would refuse too."""
    if spec.adb_server:
        return split_address(spec.adb_server, _port_variable())
    if whole := os.environ.get("ADB_SERVER_SOCKET", ""):
        return _socket_variable(whole)
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "") or "127.0.0.1"
    return host.strip("[]"), _port_variable()


def _port_variable() -> int:
    text = os.environ.get("ANDROID_ADB_SERVER_PORT", "")
    port = integer(text, 65535)
    if text and not port:
        raise ConfigError(
            f"ANDROID_ADB_SERVER_PORT is {clean(text, 40)!r}, which is not a port",
            "set it to a number such as 5037, or unset it",
        )
    return port or DEFAULT_PORT


def _socket_variable(text: str) -> tuple[str, int]:
    """`tcp:HOST:PORT` or `tcp:PORT`; adb knows other sockets, which no other machine can reach."""
    scheme, _, address = text.partition(":")
    if scheme != "tcp" or not address:
        raise ConfigError(
            f"ADB_SERVER_SOCKET is {clean(text, 80)!r}, and only tcp: can be used here",
            "set it to tcp:HOST:PORT, or name the server with adb_server in devices.yaml",
        )
    if port := integer(address, 65535):
        return "127.0.0.1", port
    host, port = split_address(address, DEFAULT_PORT)
    return ("127.0.0.1" if host in ("", "*") else host), port


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raises adbutils' exceptions as TransientDeviceError or StableDeviceError."""
    from adbutils import AdbError, AdbTimeout

    try:
        yield
    except (AdbTimeout, TimeoutError) as error:
        raise TransientDeviceError(
            "link", "the adb server did not answer in time", REPLUG
        ) from error
    except AdbError as error:
        raise _explained(clean(str(error))) from error
    except (OSError, EOFError) as error:
        raise cut_off() from error


def _explained(message: str) -> HarnessError:
    if "unauthorized" in message:
        return not_allowed()
    if "more than one" in message:
        return several(["?", "?"])
    return TransientDeviceError("link", f"the adb server says: {message}", REPLUG)


def _not_ready(serial: str, state: str) -> HarnessError:
    if state == "unauthorized":
        return not_allowed()
    return TransientDeviceError("connect", f"the phone {serial} is {state}", REPLUG)
