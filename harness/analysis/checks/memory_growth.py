"""Memory that grows from iteration to iteration."""

from __future__ import annotations

from statistics import median

from harness.core import units
from harness.core.types import Evidence, Finding

_LEAST_BYTES = 1 << 20
_LEAST_SHARE = 0.01
_SERIOUS_SHARE = 0.2


def findings(evidence: Evidence) -> list[Finding]:
    """Compares RSS after the last timed iteration with RSS after warm-up, median over launches."""
    grown = [
        (x.rss_end_bytes - x.rss_warm_bytes, x.rss_warm_bytes, len(x.latency_ns))
        for x in evidence.launches
        if x.rss_warm_bytes and x.rss_end_bytes is not None and x.latency_ns
    ]
    if not grown:
        return []
    growth = median(g for g, _, _ in grown)
    share = median(g / start for g, start, _ in grown)
    if growth < _LEAST_BYTES or share < _LEAST_SHARE:
        return []
    each = median(g / iterations for g, _, iterations in grown)
    return [
        Finding(
            level="serious" if share >= _SERIOUS_SHARE else "warning",
            code="memory-growth",
            message=f"memory grew by {units.memory(growth)} during the timed iterations, about "
            f"{units.memory(each)} per iteration",
            fix="look for a leak in a custom operator or delegate; an app that runs for a long "
            "time will run into it",
        )
    ]
