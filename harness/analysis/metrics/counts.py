"""Instructions, counted on an emulated core. Counts are exact and have no interval."""

from __future__ import annotations

from statistics import median_low

from harness.analysis.metrics import Metric, absent, exact
from harness.core.types import Cost, Evidence, Measurement, MetricSpec

NOT_COUNTED = "only an emulated core counts instructions"

# In one environment counts are exact. With other versions of the system's libraries some hundreds
# of instructions come and go, which is much less than this share.
COUNT_THRESHOLD = 0.001

# Instructions per inference in steady state.
INSTRUCTIONS = MetricSpec(
    name="instructions",
    unit="count",
    direction="lower",
    title="instructions",
    exact=True,
    max_regression=COUNT_THRESHOLD,
    optional=True,
    raw="counters",
    cost=Cost(
        kind="latency",
        better="fewer instructions",
        worse="more instructions",
        instead_of="latency",
    ),
    place=210,
    importance=7,
    key_figure=True,
)

# Instructions per multiply-accumulate: few on fast kernels, many where a slow one is used.
PER_MAC = MetricSpec(
    name="instructions_per_mac",
    unit="1",
    direction="lower",
    title="instructions per MAC",
    exact=True,
    gated=False,
    optional=True,
    head="instr./MAC",
    place=220,
    importance=8,
)

# Instructions to load the model and allocate its tensors.
INIT = MetricSpec(
    name="instructions_init",
    unit="count",
    direction="lower",
    title="instructions of init",
    exact=True,
    max_regression=0.01,
    optional=True,
    raw="counters",
    head="instr. init",
    place=230,
)

# Instructions of the first inference after a load.
FIRST = MetricSpec(
    name="instructions_first",
    unit="count",
    direction="lower",
    title="instructions of the first inference",
    exact=True,
    max_regression=COUNT_THRESHOLD,
    optional=True,
    raw="counters",
    head="instr. first",
    place=240,
)


def _counted(spec: MetricSpec) -> Metric:
    """The counter of the metric's own name."""

    def extract(evidence: Evidence) -> Measurement:
        counts = [x.counters[spec.name] for x in evidence.launches if spec.name in x.counters]
        if not counts:
            return absent(spec, NOT_COUNTED)
        # As a rule launches agree exactly. If they do not, this takes a value that was really
        # counted, not one between two.
        return Measurement(unit=spec.unit, point=median_low(counts), n=len(counts))

    return Metric(spec, extract)


def _per_mac(evidence: Evidence) -> Measurement:
    """The count over the multiply-accumulates that the graph asks for."""
    count = _counted(INSTRUCTIONS).extract(evidence).point
    if count is None:
        return absent(PER_MAC, NOT_COUNTED)
    if not evidence.artifact.macs:
        return absent(PER_MAC, "the graph's multiply-accumulates are not known")
    return exact(count / evidence.artifact.macs, PER_MAC)


METRICS = (*map(_counted, (INSTRUCTIONS, INIT, FIRST)), Metric(PER_MAC, _per_mac))
