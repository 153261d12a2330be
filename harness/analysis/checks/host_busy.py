"""A machine that had other things to do, or that changes its own speed."""

from __future__ import annotations

from statistics import median

from harness.core import units
from harness.core.types import Conditions, Evidence, Finding
from harness.stats.summaries import launch_medians

_NOTICEABLE = 0.1  # share of all processors
_MOST = 0.75
_LOW_BATTERY = 20  # percent; below, phones save power


def findings(evidence: Evidence) -> list[Finding]:
    """Other processes, power, and what kind of machine it is. A virtual machine explains
    noise; that alone is not a fault."""
    if not launch_medians(evidence.launches):
        return []
    return [*_others(evidence), *_power(evidence), *_machine(evidence)]


def _others(evidence: Evidence) -> list[Finding]:
    shares = [
        share
        for x in evidence.launches
        if x.after is not None and (share := x.after.other_cpu_share) is not None
    ]
    fix = "close other programs, or measure when the machine is idle"
    if shares:
        share = median(shares)
        if share < _NOTICEABLE:
            return []
        return [
            Finding(
                level="serious" if share >= _MOST else "warning",
                code="host-busy",
                message=f"other processes used {units.percent(share)} of the processors "
                "(median over launches)",
                fix=fix,
            )
        ]
    cores = evidence.device.cores
    loads = [c.load_average for c in _conditions(evidence) if c.load_average is not None]
    if not loads or cores is None or median(loads) <= cores + evidence.case.threads:
        return []
    return [
        Finding(
            level="warning",
            code="host-busy",
            message=f"the load average was {units.significant(median(loads))} on {cores} cores",
            fix=fix,
        )
    ]


def _power(evidence: Evidence) -> list[Finding]:
    states = _conditions(evidence)
    found = []
    if evidence.device.kind == "host" and any(c.on_battery for c in states):
        found.append(
            Finding(
                level="warning",
                code="on-battery",
                message="the machine ran on battery, which lowers its clock",
                fix="plug it in",
            )
        )
    charges = [c.battery_percent for c in states if c.battery_percent is not None]
    if charges and min(charges) < _LOW_BATTERY:
        found.append(
            Finding(
                level="warning",
                code="low-battery",
                message=f"the battery was down to {min(charges)} %; phones save power when it "
                "is low",
                fix="charge it",
            )
        )
    return found


def _machine(evidence: Evidence) -> list[Finding]:
    extra = evidence.device.extra
    governors = {c.governor for c in _conditions(evidence) if c.governor}
    governors |= {extra["governor"]} if "governor" in extra else set()
    reasons = []
    if extra.get("virtual_machine") == "yes":
        reasons.append("it is a virtual machine, and other load on its computer cannot be seen")
    if extra.get("smt") == "1":
        reasons.append("two threads share a core (SMT)")
    if governors - {"performance"}:
        reasons.append(f"its clock follows the load (governor {', '.join(sorted(governors))})")
    if not reasons:
        return []
    return [
        Finding(
            level="info",
            code="variable-machine",
            message=f"times vary on this machine: {'; '.join(reasons)}",
            fix="compare within one run, where rounds are paired",
        )
    ]


def _conditions(evidence: Evidence) -> list[Conditions]:
    return [c for x in evidence.launches for c in (x.before, x.after) if c is not None]
