"""Files to a phone over the sync service of adbd, through a real socket."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError
from harness.devices.transports._sync import send_file
from harness.devices.transports.adb_server import ServerStream

DENIED = b"couldn't create file: Permission denied"


def test_a_refusal_is_read_even_if_the_connection_ends_while_the_file_is_sent(
    tmp_path: Path,
) -> None:
    local = tmp_path / "file"
    local.write_bytes(bytes(10_000_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            peer, _ = listener.accept()
            peer.recv(100)
            peer.sendall(b"FAIL" + len(DENIED).to_bytes(4, "little") + DENIED)
            peer.close()  # with the file unread, so that the sender gets a reset

        phone = threading.Thread(target=refuse)
        phone.start()
        with socket.create_connection(listener.getsockname()) as sock:
            stream = ServerStream(sock, 10.0, Attendant())
            with pytest.raises(StableDeviceError, match="Permission denied"):
                send_file(stream, local, "/data/local/tmp/file", 10.0)
        phone.join()
