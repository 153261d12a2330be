"""What the file is: properties that need no launch and have no sampling error."""

from __future__ import annotations

from harness.analysis.metrics import Metric, exact
from harness.core.types import Cost, MetricSpec

# Bytes of the .tflite file, as it is stored on a phone.
SIZE = MetricSpec(
    name="size",
    unit="bytes",
    direction="lower",
    title="size",
    exact=True,
    file_size=True,
    cost=Cost(kind="size", better="smaller", worse="larger"),
    place=10,
    importance=4,
    key_figure=True,
)

# Bytes of the same file after gzip, which is close to what a download costs.
GZIP_SIZE = MetricSpec(
    name="gzip_size",
    unit="bytes",
    direction="lower",
    title="gzip",
    exact=True,
    file_size=True,
    place=20,
    importance=15,
)

# Share of the weights that are zero (0 to 1), which is what pruning is for.
SPARSITY = MetricSpec(
    name="sparsity",
    unit="1",
    direction="higher",
    title="sparsity",
    exact=True,
    gated=False,
    optional=True,
    place=25,
)

METRICS = (
    Metric(SIZE, lambda e: exact(e.artifact.size_bytes, SIZE)),
    Metric(GZIP_SIZE, lambda e: exact(e.artifact.gzip_bytes, GZIP_SIZE)),
    Metric(SPARSITY, lambda e: exact(e.artifact.sparsity, SPARSITY)),
)
