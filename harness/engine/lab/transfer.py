"""Files between a client and a host: directly, in pieces, by SHA-256. `depot.py` is the host's."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.engine.lab.depot import PIECE_BYTES


async def send(client: Any, address: str, wanted: Mapping[str, Path]) -> None:
    """Send the host at `address` those of the files, given by SHA-256, that it lacks. Raises
    UsageError if one arrives damaged."""
    host, sender = client.rpc(address), uuid.uuid4().hex
    for sha256 in await host.lab_missing(wanted=list(wanted)):
        offset = 0
        with wanted[sha256].open("rb") as file:
            piece = file.read(PIECE_BYTES)
            while True:
                following = file.read(PIECE_BYTES)
                said = await host.lab_put(
                    sha256=sha256, sender=sender, offset=offset, data=piece, last=not following
                )
                if said:
                    raise UsageError(said)
                if not following:
                    break
                offset, piece = offset + len(piece), following


async def fetch(client: Any, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
    """Get a file from a host, in pieces. Raises UsageError if it has none."""
    host, offset = client.rpc(address), 0
    while True:
        piece = await host.lab_get(sha256=sha256, offset=offset)
        if isinstance(piece, str):
            raise UsageError(piece, "run again")
        if not piece:
            return
        write(bytes(piece))
        offset += len(piece)
