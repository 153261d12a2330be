"""One ADB stream as the phone sees it: bytes in, bytes out, each acknowledged before the next."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from harness.emulator.packets import CLSE, OKAY, WRTE, Packet


class Carrier(Protocol):
    """The connection that a stream runs over."""

    max_payload: int

    def send(self, packet: Packet) -> None:
        """Send one packet whole; raises OSError."""

    def forget(self, local_id: int) -> None:
        """The stream of this number has ended."""


LARGE = 4096  # bytes that are not worth copying


class StreamClosed(Exception):
    """The client closed the stream, or the connection is gone."""


class Stream:
    """One OPEN: bytes in, bytes out, each acknowledged before the next."""

    def __init__(self, connection: Carrier, local_id: int, remote_id: int) -> None:
        self._connection = connection
        self._local_id = local_id
        self._remote_id = remote_id
        self._ready = threading.Semaphore(1)  # the client acknowledged our last WRTE
        self._write_lock = threading.Lock()
        self._incoming: queue.SimpleQueue[bytes | bytearray] = queue.SimpleQueue()
        self._pending = memoryview(b"")
        self.closed = threading.Event()
        self.on_close: Callable[[], object] = lambda: None
        self._sent_close = False

    # --- called by services ---

    def write(self, data: bytes) -> None:
        """Send all of `data`; raises StreamClosed."""
        size = self._connection.max_payload
        with self._write_lock:
            for start in range(0, len(data), size):
                self._ready.acquire()
                if self.closed.is_set():
                    self._ready.release()
                    raise StreamClosed
                self._send(WRTE, data[start : start + size])

    def read(self) -> bytes | bytearray:
        """The next bytes; empty when the client has closed the stream."""
        if not self._pending:
            data = self._incoming.get()
            if data:
                with contextlib.suppress(StreamClosed):
                    self._send(OKAY)
            return data
        rest, self._pending = bytes(self._pending), memoryview(b"")
        return rest

    def read_exactly(self, size: int) -> bytes | memoryview:
        """`size` bytes; raises StreamClosed if there are fewer. What came in one piece is not
        copied."""
        parts: list[memoryview] = []
        missing = size
        while missing:
            if not self._pending:
                self._pending = memoryview(self.read())
                if not self._pending:
                    raise StreamClosed
            parts.append(self._pending[:missing])
            self._pending = self._pending[missing:]
            missing -= len(parts[-1])
        return parts[0] if size >= LARGE and len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Tell the client that the service has ended."""
        if not self._sent_close:
            self._sent_close = True
            with contextlib.suppress(StreamClosed):
                self._send(CLSE)
        self.abandon()
        self._connection.forget(self._local_id)

    # --- called by the connection ---

    def feed(self, data: bytes | bytearray) -> None:
        """A WRTE has arrived."""
        if data:
            self._incoming.put(data)

    def acknowledge(self) -> None:
        """An OKAY has arrived."""
        self._ready.release()

    def abandon(self) -> None:
        """No more bytes will come or go."""
        self.closed.set()
        self._incoming.put(b"")
        self._ready.release()
        self.on_close()

    def _send(self, command: int, data: bytes = b"") -> None:
        try:
            self._connection.send(Packet(command, self._local_id, self._remote_id, data))
        except OSError as error:
            self.abandon()
            raise StreamClosed from error
