"""Runs the plan: launch, save, decide whether to go on.

Launches of all cases on a device are interleaved, round by round; phones run side by side, each
in its own order, and what runs on this machine's own processors takes turns. Whatever ends the
run, what was saved is in the run folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from harness.core.attendant import Attendant
from harness.core.lab import LabDevice
from harness.core.specs import DeviceSpec
from harness.core.types import Stopped, StopReason
from harness.devices import Target, kind_of
from harness.engine import Engine
from harness.engine.local import LocalEngine
from harness.measure.device_run import DeviceRun, Enough, Listener, OpenTarget
from harness.results.store import RunFolder

_NOWHERE: Mapping[str, LabDevice] = MappingProxyType({})


def open_target(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> Target:
    """Connect to a device of whatever kind."""
    return kind_of(spec).open_target(name, spec, log_dir, attendant)


def measure(
    folder: RunFolder,
    devices: Mapping[str, DeviceSpec],
    inputs: Mapping[str, Path],
    listener: Listener,
    *,
    opener: OpenTarget = open_target,
    enough: Enough | None = None,
    engine: Engine | None = None,
    at_lab: Mapping[str, LabDevice] = _NOWHERE,
) -> Stopped:
    """Carry out the plan of `folder`, going on after what it has already saved.

    `inputs` maps a variant to its input set. `enough`, if given, looks at a device's launches after
    every round and may end it; a case that fails then ends it, too. Devices that are `at_lab` are
    measured by its hosts. Ctrl-C ends measuring after killing the launch under way; the result's
    reason says so, also where all had been measured and the devices were being put back as they
    were. Raises OtherDeviceError, without having measured on it, if a device is not the one that
    the saved launches are of.
    """
    here = {name: spec for name, spec in devices.items() if name not in at_lab}
    runs: list[DeviceRun] = []
    engine = engine or LocalEngine()
    for lane in lanes(here):
        for name in lane:
            run = DeviceRun(
                folder,
                name,
                here[name],
                inputs=inputs,
                listener=listener,
                opener=opener,
                enough=enough,
            )
            runs.append(run)
            engine.submit(run, lane[0])
    for name, device in at_lab.items():
        from harness.measure import away_run

        for away in away_run.runs(folder, device, devices[name], inputs, listener):
            runs.append(away)
            engine.submit(away, name)
    engine.gather()
    for run in runs:
        if run.refusal is not None:
            raise run.refusal
    reasons: list[StopReason] = ["interrupted" if run.stopped else run.reason for run in runs]
    widths = [w for run in runs for w in run.half_widths.values()]
    known = [w for w in widths if w is not None]
    return Stopped(
        reason=min(reasons, key=_PRECEDENCE.index),
        worst_half_width=max(known) if known and len(known) == len(widths) else None,
    )


# Of several devices' reasons the one that matters most is reported.
_PRECEDENCE: list[StopReason] = [
    "interrupted",
    "failed",
    "time_budget",
    "max_launches",
    "launches",
    "exact",
    "target_ci",
    "decided",
]


def lanes(devices: Mapping[str, DeviceSpec]) -> list[list[str]]:
    """Devices of different lanes are measured at the same time, those of one lane in turn.

    What runs on this machine's own processors takes turns, since one would slow the other's
    launches. Emulated phones among themselves run side by side, as the phones they stand for.
    """
    use = {name: kind_of(spec).traits(spec).processors for name, spec in devices.items()}
    measuring = [name for name in devices if use[name] == "measures"]
    borrowing = [name for name in devices if use[name] == "borrows"]
    in_turn = [*measuring, *borrowing] if measuring else []
    alone = [[name] for name in devices if name not in in_turn]
    return [in_turn, *alone] if in_turn else alone
