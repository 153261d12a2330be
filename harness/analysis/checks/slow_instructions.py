"""Many more instructions per multiply-accumulate than the other models of the same type take."""

from __future__ import annotations

from statistics import median

from harness.analysis.checks._arithmetic import arithmetic
from harness.core import units
from harness.core.types import Evidence, Finding

# Layers differ: depthwise convolutions take twice the instructions of dense ones. The kernels
# that a runtime falls back to take ten to a hundred times those of the fast ones.
FAR = 3.0
LEAST_PEERS = 2
# Work other than multiply-accumulates (quantizing the input, activations, pooling, calling
# operators) costs even a small model a million instructions or more, as much as fast kernels take
# for this many multiply-accumulates. With fewer, the ratio shows fixed costs and not kernels.
LEAST_MACS = 5_000_000


def findings(evidence: Evidence) -> list[Finding]:
    """Compared with the median of the peers; it takes at least two peers to know what is usual."""
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
            f"the median {usual:.2f} of the other {kind} models: it may have operators without a "
            "fast kernel, or layers with few channels, which do not fill a vector",
            fix="compare its operators with those of the others, which --html lists by artifact; "
            "or time them with --profile on a phone",
        )
    ]


def _per_mac(evidence: Evidence) -> float | None:
    """Instructions per multiply-accumulate. None if it is not known, or if there are so few that
    fixed costs dominate."""
    measured, macs = evidence.metrics.get("instructions_per_mac"), evidence.artifact.macs
    return None if measured is None or (macs or 0) < LEAST_MACS else measured.point
