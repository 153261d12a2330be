"""Every metric by its name, read from the families in `analysis/metrics`.

A metric that is added to a family is thereby known everywhere, from the gate to its column.
"""

from __future__ import annotations

import functools

from harness.analysis.metrics import Metric
from harness.core import units
from harness.core.estimates import QUANTITIES, Quantity
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.system import plugins

FAMILIES = "harness.analysis.metrics"


@functools.cache
def metrics() -> dict[str, Metric]:
    """Name -> metric, in reading order. Two of one name are a ValueError: a mistake of ours."""
    found: dict[str, Metric] = {}
    for family in plugins.names(FAMILIES):
        for metric in plugins.load(FAMILIES, family).METRICS:
            if metric.spec.name in found:
                raise ValueError(f"two metrics have the name {metric.spec.name}")
            found[metric.spec.name] = metric
    return dict(sorted(found.items(), key=lambda item: (item[1].spec.place, item[0])))


@functools.cache
def specs() -> dict[str, MetricSpec]:
    """Name -> spec, in reading order."""
    return {name: metric.spec for name, metric in metrics().items()}


def of_family(family: str) -> frozenset[str]:
    """The names of the metrics of a family, such as `counts`."""
    return frozenset(m.spec.name for m in plugins.load(FAMILIES, family).METRICS)


def extract(evidence: Evidence) -> dict[str, Measurement]:
    """Every metric of one case; an optional one that is absent is left out."""
    # By name, so that the order in files does not depend on the reading order of the tables.
    found = {name: metric.extract(evidence) for name, metric in sorted(metrics().items())}
    return {n: m for n, m in found.items() if m.point is not None or not specs()[n].optional}


def quantity(name: str, unit: str) -> Quantity:
    """What kind of number a metric is. For a metric that only the report knows, it follows from the
    unit."""
    spec = specs().get(name)
    return QUANTITIES.get(unit, "count") if spec is None else spec.quantity


def title(name: str) -> str:
    """The metric in a sentence: `peak RSS`."""
    spec = specs().get(name)
    return name.replace("_", " ") if spec is None else spec.title


def shown(name: str, value: float | None, unit: str) -> str:
    """The value of a metric with its unit, as a reader expects to see it: `5.20 ms`."""
    return units.shown(value, quantity(name, unit))
