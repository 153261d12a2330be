"""A device that answers test images differently than the host does with the same file."""

from __future__ import annotations

from harness.analysis.checks._arithmetic import arithmetic
from harness.analysis.checks.parity import SHARE, STEPS
from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats import accuracy
from harness.stats.agreement import Beside, Pair, beside

# Decisions that change although rounding cannot explain it: more than this share, with 95 %
# confidence, is a finding.
TOLERATED = 0.01
EXAMPLES = 3


def findings(evidence: Evidence) -> list[Finding]:
    """A decision counts as changed if it differs from the host's and the host's best score leads by
    more than rounding can undo. One or two among hundreds may be chance; more come from the
    delegate."""
    found = evidence.on_device
    if found is None:
        return []
    if found.failure is not None:
        return [_nothing(found.failure.message, found.failure.fix)]
    told = [] if found.broke_off is None else [_in_part(evidence)]
    pairs = beside(found, evidence.evaluation)
    if pairs is None:
        return told
    tolerated = _tolerated(evidence, found.step)
    changed = [p for p in pairs.pairs if p.finite and not p.same_decision and p.lead > tolerated]
    broken = [p for p in pairs.pairs if not p.finite]
    shown = accuracy.wilson(len(changed), pairs.n).ci_low > TOLERATED
    if not broken and not shown:
        return told
    return [*told, _changed(evidence, pairs, changed, broken)]


def _tolerated(evidence: Evidence, step: float) -> float:
    """How much the lead of one score over another can shrink by rounding alone: both may move."""
    kind = arithmetic(evidence.artifact) if evidence.case.delegate == "cpu" else "int8"
    return 2 * max(STEPS * step, SHARE[kind])


def _changed(evidence: Evidence, pairs: Beside, changed: list[Pair], broken: list[Pair]) -> Finding:
    parts = []
    if broken:
        parts.append(f"{len(broken)} of {pairs.n} answers are not finite numbers")
    if changed:
        parts.append(
            f"{len(changed)} of {pairs.n} images are decided differently than on the host, and "
            "rounding does not explain it"
        )
    worst = sorted((p for p in pairs.pairs if not p.same_decision), key=lambda p: -p.difference)
    shown = "; ".join(_example(evidence, pair) for pair in worst[:EXAMPLES])
    delegate = evidence.case.delegate
    fix = "try another build of the runner, or another device"
    if delegate == "gpu":
        fix = "measure --delegate gpu-fp32: if its answers are right, float16 is too narrow"
    elif delegate != "cpu":
        fix = (
            f"do not ship {delegate} with this model; try another runtime version or --delegate cpu"
        )
    return Finding(
        level="serious",
        code="delegate-changed-answers",
        message=f"{delegate} on {evidence.device.name}: {' and '.join(parts)}; most different: "
        f"{shown}",
        fix=fix,
    )


def _example(evidence: Evidence, pair: Pair) -> str:
    classes = evidence.on_device.classes if evidence.on_device else ()
    label = classes[pair.label]
    best = pair.host.index(max(pair.host))
    there = pair.device[best]
    on_device = "not finite" if not pair.finite else units.ratio(there)
    return (
        f"test image {pair.row} ({label}): {classes[best]} {units.ratio(pair.host[best])} on the "
        f"host, {on_device} there"
    )


def _nothing(why: str, fix: str) -> Finding:
    return Finding(
        level="warning",
        code="not-answered-on-device",
        message=f"the device answered no test images: {why}",
        fix=fix,
    )


def _in_part(evidence: Evidence) -> Finding:
    found = evidence.on_device
    assert found is not None
    assert found.broke_off is not None
    return Finding(
        level="warning",
        code="answered-on-device-in-part",
        message=f"the device answered {found.n} of {found.of} test images: "
        f"{found.broke_off.message}",
        fix=found.broke_off.fix,
    )
