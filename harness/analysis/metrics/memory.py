"""Memory of the launched process: different numbers that are often confused.

docs/explanation/memory.md says what each one means.
"""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Cost, MetricSpec

# The most resident memory from loading to the last iteration, the process itself included.
PEAK_RSS = MetricSpec(
    name="peak_rss",
    unit="bytes",
    direction="lower",
    title="peak RSS",
    raw="peak_rss_bytes",
    cost=Cost(kind="memory", better="less memory", worse="more memory"),
    place=120,
    importance=5,
    key_figure=True,
)

# Resident memory that belongs to no file (tensors, packed weights, heap) at the end of a launch.
RSS_ANON = MetricSpec(
    name="rss_anon",
    unit="bytes",
    direction="lower",
    title="anonymous RSS",
    gated=False,
    raw="rss_anon_bytes",
    head="anonymous",
    place=130,
    importance=19,
)

# Resident pages of mapped files, the model's own among them. The system can drop these.
RSS_FILE = MetricSpec(
    name="rss_file",
    unit="bytes",
    direction="lower",
    title="file-backed RSS",
    gated=False,
    raw="rss_file_bytes",
    head="file-backed",
    place=140,
    importance=20,
)

# Proportional set size at its highest: pages shared with other processes count by their share.
# Android observes it beside the peak, in a launch of its own.
PSS = MetricSpec(
    name="pss",
    unit="bytes",
    direction="lower",
    title="PSS",
    gated=False,
    optional=True,
    raw="pss_bytes",
    place=142,
    importance=20,
)

# The runtime's arena for the tensors between layers, a part of the anonymous memory.
ARENA = MetricSpec(
    name="arena",
    unit="bytes",
    direction="lower",
    title="arena",
    gated=False,
    optional=True,
    raw="arena_bytes",
    place=144,
    importance=20,
)

METRICS = tuple(map(per_launch, (PEAK_RSS, RSS_ANON, RSS_FILE, PSS, ARENA)))
