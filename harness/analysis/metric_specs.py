"""Every metric's spec by name, read off the files of `analysis/metrics`.

A new metric is known everywhere, from the gate to its column, the moment its file exists.
"""

from __future__ import annotations

import functools

from harness.core.types import MetricSpec
from harness.system import plugins

METRICS = "harness.analysis.metrics"


@functools.cache
def specs() -> dict[str, MetricSpec]:
    """Name -> spec, in the order in which a reader wants them."""
    found = [plugins.load(METRICS, name).spec for name in plugins.names(METRICS)]
    return {spec.name: spec for spec in sorted(found, key=lambda spec: (spec.place, spec.name))}
