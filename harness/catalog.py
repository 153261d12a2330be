"""What every metric is, by name: read off the files of `harness/metrics`, so that a new metric is
known everywhere, from the gate to the head of its column, the moment its file exists."""

from __future__ import annotations

import functools

from harness import plugins
from harness.core.types import MetricSpec


@functools.cache
def specs() -> dict[str, MetricSpec]:
    """Name -> spec, in the order in which a reader wants them."""
    found = [plugins.load("metrics", name).spec for name in plugins.names("metrics")]
    return {spec.name: spec for spec in sorted(found, key=lambda spec: (spec.place, spec.name))}
