"""What an inference costs the battery, above what the phone draws when it does nothing."""

from __future__ import annotations

from harness.analysis.metrics import Metric, absent, reason
from harness.core.power import PowerSource
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.energy import per_inference

# Energy of one inference, the whole phone's at its battery.
ENERGY = MetricSpec(
    name="energy",
    unit="J",
    direction="lower",
    title="energy per inference",
    gated=False,
    optional=True,
    head="energy",
    place=112,
    importance=13,
    headline=True,
)

# The same of processor, accelerators and memory only, where the phone measures their power rails.
ENERGY_RAILS = MetricSpec(
    name="energy_rails",
    unit="J",
    direction="lower",
    title="energy per inference, processor and memory",
    gated=False,
    optional=True,
    head="energy, rails",
    place=113,
    importance=13,
    headline=True,
)


def _of(spec: MetricSpec, source: PowerSource) -> Metric:
    def extract(evidence: Evidence) -> Measurement:
        for launch in evidence.launches:
            for drawn in launch.drawn:
                if drawn.source == source:
                    return per_inference(drawn, spec.unit)
        why = reason(evidence, f"drawn:{source}") or "only --sustained on a phone measures it"
        return absent(spec, why)

    return Metric(spec, extract)


METRICS = (_of(ENERGY, "battery"), _of(ENERGY_RAILS, "rails"))
