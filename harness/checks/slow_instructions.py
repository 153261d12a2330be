"""Many more instructions per multiply-accumulate than the other models of the same type take."""

from __future__ import annotations

from statistics import median

from harness.checks._arithmetic import arithmetic
from harness.core import units
from harness.core.types import Evidence, Finding

# Layers differ: depthwise convolutions take twice the instructions of dense ones. The kernels
# that a runtime falls back to take ten to a hundred times those of the fast ones.
FAR = 3.0
LEAST_PEERS = 2


def findings(evidence: Evidence) -> list[Finding]:
    """Compared with the median of the peers; two peers at least must tell what is usual."""
    own = _per_mac(evidence)
    kind = arithmetic(evidence.artifact)
    peers = [
        value
        for peer in evidence.peers
        if arithmetic(peer.artifact) == kind and (value := _per_mac(peer)) is not None
    ]
    if own is None or len(peers) < LEAST_PEERS:
        return []
    usual = median(peers)
    if own < FAR * usual:
        return []
    return [
        Finding(
            level="warning",
            code="slow-instructions",
            message=f"{own:.2f} instructions per multiply-accumulate, {units.times(own / usual)} "
            f"the {usual:.2f} of the other {kind} models: it falls back to slow kernels",
            mend="look in the list of operators for one that has no fast kernel of this type",
        )
    ]


def _per_mac(evidence: Evidence) -> float | None:
    measured = evidence.metrics.get("instructions_per_mac")
    return None if measured is None else measured.point
