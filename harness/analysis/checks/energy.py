"""What the energy of an inference was computed from."""

from __future__ import annotations

from statistics import fmean

from harness.core import units
from harness.core.types import Evidence, Finding, Launch
from harness.stats.energy import idle_draw, per_inference

_SOURCES = {"battery": "at the battery", "rails": "on the rails of processor and memory"}


def findings(evidence: Evidence) -> list[Finding]:
    """The power under load and idle, and a warning where the idle draw changed by more than a
    tenth of what the load adds; or why a sustained load tells no energy."""
    found = [
        Finding(level="info", code="no-energy", message=f"there is no energy per inference: {why}")
        for launch in evidence.launches
        if (why := _why_none(launch)) and not any(n.code == "charging" for n in launch.notes)
    ]
    for drawn in (d for launch in evidence.launches for d in launch.drawn):
        readings = [r for stretch in drawn.loaded for r in stretch]
        if not (readings and drawn.idle_before and drawn.idle_after):
            continue
        before, after, load = map(fmean, (drawn.idle_before, drawn.idle_after, readings))
        found.append(
            Finding(
                level="info",
                code="power",
                message=f"{units.power(load)} under load, {units.power(before)} idle before and "
                f"{units.power(after)} after, {_SOURCES[drawn.source]} ({len(readings)} readings "
                f"in {drawn.unit})",
            )
        )
        added = load - idle_draw(drawn)[0]
        if abs(before - after) > 0.1 * abs(added):
            found.append(
                Finding(
                    level="warning",
                    code="idle-draw-changed",
                    message=f"without load the phone drew {units.power(before)} before and "
                    f"{units.power(after)} after: its energy per inference is known only roughly",
                    fix="switch the screen and background work off, let the phone rest, measure "
                    "for longer",
                )
            )
    return found


def _why_none(launch: Launch) -> str:
    """Why it has no energy at the battery; empty if it has, or if none was to be measured."""
    drawn = [d for d in launch.drawn if d.source == "battery"]
    return launch.absent.get("drawn:battery", "") or next(
        (per_inference(d, "J").absent_because or "" for d in drawn), ""
    )
