"""What the instruction metrics share: counts that a target left in `Launch.counters`."""

from __future__ import annotations

from statistics import median_low

from harness.core.types import Evidence, Measurement, MetricSpec

NOT_COUNTED = "only an emulated core counts instructions"

# Of one environment counts are exact; with other versions of the system's libraries some hundred
# may come and go: much less than this share.
COUNT_THRESHOLD = 0.001


def counted(evidence: Evidence, spec: MetricSpec) -> Measurement:
    """The count under the metric's own name. Launches agree to the last instruction as a rule,
    and where they do not, a value that was really counted is taken, not one between two."""
    counts = [x.counters[spec.name] for x in evidence.launches if spec.name in x.counters]
    if not counts:
        return Measurement(unit=spec.unit, point=None, absent_because=NOT_COUNTED)
    return Measurement(unit=spec.unit, point=median_low(counts), n=len(counts))
