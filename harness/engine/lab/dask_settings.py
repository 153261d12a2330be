"""How Dask is set up in each process of a lab."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from harness.core.errors import UsageError

# A host that sends nothing for this long has left.
WORKER_TTL_S = 60
CONNECT_S = 10
EVENTS_KEPT = 100

_SETTINGS = {
    # A plan is resumed from what was saved, never silently run again.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": f"{WORKER_TTL_S}s",
    # Dask's web server does not authenticate.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.admin.low-level-log-length": EVENTS_KEPT,
    "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
    "distributed.comm.timeouts.tcp": "30s",
}


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """Dask as a lab needs it, while inside; it writes no log of its own. Raises UsageError if it is
    not installed."""
    try:
        import dask
        import distributed
    except ImportError:
        raise UsageError(
            "a lab needs the package distributed", "pip install 'mobile-bench-harness[lab]'"
        ) from None
    logger = logging.getLogger(distributed.__name__)
    for each in (logger, *(logging.getLogger(n) for n in _LOUD)):
        each.setLevel(logging.CRITICAL + 1)
    with dask.config.set(_SETTINGS):
        yield


_LOUD = ("distributed.client", "distributed.scheduler", "distributed.worker", "tornado")
