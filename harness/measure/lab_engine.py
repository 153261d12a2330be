"""The engine of a command that may use a lab."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.engine.dask import DaskEngine


@contextlib.contextmanager
def opened(
    lab: str | None, keys: Path | None, project: Path | None, say: Callable[[str], None]
) -> Iterator[DaskEngine | None]:
    """An engine on the lab at the address `lab`, or on that of devices.yaml if that is empty; None
    without --lab. Raises UsageError."""
    if lab is None:
        if keys is not None:
            raise UsageError("--lab-keys is for a lab", "give its address with --lab")
        yield None
        return
    from harness.engine import dask
    from harness.engine.lab.address import parse
    from harness.project import config

    known = config.load_project(project).lab
    if not lab and known is None:
        raise UsageError(
            "--lab has no address, and devices.yaml names no lab",
            "write --lab tls://HOST:8786, or `lab: {address: ...}` in devices.yaml",
        )
    kept = Path(known.keys) if known and known.keys else None
    address = parse(lab or (known.address if known else ""), keys or kept)
    connected = dask.connect(address, say)
    try:
        yield connected
    finally:
        connected.close()
