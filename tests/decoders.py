"""One process that decodes images for every data set that a test session opens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from unittest import mock

from harness.data import image_cache
from harness.data.decode import Picture
from harness.data.isolated import Decoder


class _Shared:
    """Stands for a decoder of a data set's own: closing it leaves the process for the next one."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self._lock = decoder, threading.Lock()

    def decode(self, data: bytes, kind: str) -> Picture:
        with self._lock:
            return self._decoder.decode(data, kind)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def one() -> Iterator[None]:
    """Data sets that are opened in this process share one decoder, which ends on leaving."""
    decoder = Decoder()
    shared = _Shared(decoder)
    with mock.patch.object(image_cache, "Decoder", lambda: shared):
        try:
            yield
        finally:
            decoder.close()
