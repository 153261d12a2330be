"""adbd on a loopback socket: connections, authentication, streams with flow control.

A stream may have one unacknowledged WRTE in each direction, as in the real daemon. Each
connection has a reader thread, each stream a thread that runs its service.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

from harness.emulator import auth, packets, services
from harness.emulator.packets import (
    AUTH,
    AUTH_RSAPUBLICKEY,
    AUTH_SIGNATURE,
    AUTH_TOKEN,
    CLSE,
    CNXN,
    MAX_PAYLOAD,
    OKAY,
    OPEN,
    VERSION_MIN,
    WRTE,
    Packet,
    ProtocolError,
)
from harness.emulator.phone import Phone
from harness.emulator.streams import LARGE, Stream, StreamClosed


class Connection:
    """One client."""

    def __init__(self, sock: socket.socket, phone: Phone, unplug: Callable[[], None]) -> None:
        self._socket = sock
        self._phone = phone
        self._unplug = unplug
        # Until the client sends its version; an old client sends a checksum, a new one does not.
        self._version = phone.profile.adb_version
        self._authorised = False
        self._token = b""
        self._streams: dict[int, Stream] = {}
        self._streams_lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._next_id = 1
        self.max_payload = MAX_PAYLOAD

    def serve(self) -> None:
        """Answer packets until the client or the cable is gone."""
        handlers = {
            CNXN: self._on_connect,
            AUTH: self._on_auth,
            OPEN: self._on_open,
            OKAY: self._on_okay,
            WRTE: self._on_write,
            CLSE: self._on_close,
        }
        try:
            while True:
                packet = packets.decode(self._read, self._version)
                if packet.command in handlers:
                    handlers[packet.command](packet)
        except (OSError, EOFError, ProtocolError):
            pass
        finally:
            self.cut()

    def cut(self) -> None:
        """The cable was pulled."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._streams_lock:
            streams = list(self._streams.values())
        for stream in streams:
            stream.abandon()

    def send(self, packet: Packet) -> None:
        """Send one packet whole; raises OSError."""
        header, data = packets.encode(packet, self._version)
        with self._send_lock:
            self._phone.link.pass_on(len(data))
            self._socket.sendall(header + data if len(data) < LARGE else header)
            if len(data) >= LARGE:
                self._socket.sendall(data)

    def forget(self, local_id: int) -> None:
        """A stream has ended."""
        with self._streams_lock:
            self._streams.pop(local_id, None)

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            count = self._socket.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]
            if self._phone.link.received(count):
                self._unplug()
                raise EOFError
        return buffer

    # --- packets ---

    def _on_connect(self, packet: Packet) -> None:
        self._version = max(VERSION_MIN, min(packet.arg0, self._phone.profile.adb_version))
        self.max_payload = min(packet.arg1, MAX_PAYLOAD) or MAX_PAYLOAD
        if self._phone.requires_auth:
            self._challenge()
        else:
            self._welcome()

    def _challenge(self) -> None:
        self._token = os.urandom(auth.TOKEN_SIZE)
        self.send(Packet(AUTH, AUTH_TOKEN, 0, self._token))

    def _welcome(self) -> None:
        self._authorised = True
        version = self._phone.profile.adb_version
        self.send(Packet(CNXN, version, MAX_PAYLOAD, self._phone.banner()))

    def _on_auth(self, packet: Packet) -> None:
        if packet.arg0 == AUTH_SIGNATURE:
            if any(
                auth.verify(k, self._token, bytes(packet.data)) for k in self._phone.trusted_keys()
            ):
                self._welcome()
            else:
                self._challenge()
        elif packet.arg0 == AUTH_RSAPUBLICKEY:
            threading.Thread(target=self._ask_user, args=(bytes(packet.data),), daemon=True).start()

    def _ask_user(self, key: bytes) -> None:
        """The dialog on the phone's screen. A refusal is silence, as on a real phone."""
        with contextlib.suppress(ValueError, OSError):
            auth.parse_key(key)
            if self._phone.confirm(key):
                self._welcome()

    def _on_open(self, packet: Packet) -> None:
        if not self._authorised or not packet.arg0:
            return
        name = bytes(packet.data).rstrip(b"\0")
        service = services.find(name, self._phone.profile.features)
        if service is None:
            self.send(Packet(CLSE, 0, packet.arg0))
            return
        with self._streams_lock:
            local_id, self._next_id = self._next_id, self._next_id + 1
            stream = self._streams[local_id] = Stream(self, local_id, packet.arg0)
        self.send(Packet(OKAY, local_id, packet.arg0))
        threading.Thread(target=self._run, args=(service, name, stream), daemon=True).start()

    def _run(self, service: services.Service, name: bytes, stream: Stream) -> None:
        try:
            service(name, stream, self._phone, self._unplug)
        except StreamClosed:
            pass
        finally:
            stream.close()

    def _stream(self, packet: Packet) -> Stream | None:
        with self._streams_lock:
            return self._streams.get(packet.arg1)

    def _on_okay(self, packet: Packet) -> None:
        if stream := self._stream(packet):
            stream.acknowledge()

    def _on_write(self, packet: Packet) -> None:
        if stream := self._stream(packet):
            stream.feed(packet.data)

    def _on_close(self, packet: Packet) -> None:
        if stream := self._stream(packet):
            stream.abandon()


class Daemon:
    """Listens on loopback, only ever on loopback, until closed."""

    def __init__(self, phone: Phone, port: int = 0) -> None:
        self.phone = phone
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._plugged = threading.Event()
        self._plugged.set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def address(self) -> str:
        """What `adb connect` and devices.yaml want: `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Daemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and every command they started; the phone's folder goes too."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.phone.close()

    def wait(self) -> None:
        """Serve until closed or interrupted."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def unplug(self, for_s: float | None = None) -> None:
        """Pull the cable; plug it in again after `for_s` seconds (None: never)."""
        self._plugged.clear()
        self._cut_all()
        if for_s is not None:
            timer = threading.Timer(for_s, self.plug)
            timer.daemon = True
            timer.start()

    def plug(self) -> None:
        """Plug the cable in."""
        self._plugged.set()

    def _cut_all(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if not self._plugged.is_set():
                sock.close()
                time.sleep(0.01)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, self.phone, self._unplug_by_fault)
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _unplug_by_fault(self) -> None:
        self.unplug(self.phone.faults.unplugged_for_s)
