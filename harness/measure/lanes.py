"""Runs the plan: launch, save, decide whether to go on.

Launches of all cases on a device are interleaved, round by round; phones run side by side, each
in its own order, and what runs on this machine's own processors takes turns. Whatever ends the
run, what was saved is in the run folder.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec, kind_of
from harness.core.types import Stopped, StopReason
from harness.devices import Target
from harness.measure.device_run import DeviceRun, Enough, Listener, OpenTarget
from harness.results.store import RunFolder
from harness.system import interrupts


def open_target(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> Target:
    """The target of a device's kind: devices/host/, android/ or arm64_core/."""
    folder = {"arm64-emulated": "arm64_core"}.get(kind_of(spec), kind_of(spec))
    module = importlib.import_module(f"harness.devices.{folder}.target")
    target: Target = module.open_target(name, spec, log_dir, attendant)
    return target


def measure(
    folder: RunFolder,
    devices: Mapping[str, DeviceSpec],
    inputs: Mapping[str, Path],
    listener: Listener,
    *,
    opener: OpenTarget = open_target,
    enough: Enough | None = None,
) -> Stopped:
    """Carry out the plan of `folder`, going on after what it has already saved.

    `inputs` maps a variant to its input set. `enough`, if given, looks at a device's launches
    after every round and may end it. Ctrl-C ends measuring after killing the launch under
    way, and is told by the result's reason.
    """
    runs = {
        name: DeviceRun(
            folder,
            name,
            spec,
            inputs=inputs,
            listener=listener,
            opener=opener,
            enough=enough,
        )
        for name, spec in devices.items()
    }
    in_lanes = [[runs[name] for name in lane] for lane in lanes(devices)]
    if len(in_lanes) == 1:
        _take_turns(in_lanes[0])
    else:
        _side_by_side(in_lanes)
    widths = [w for run in runs.values() for w in run.half_widths.values()]
    known = [w for w in widths if w is not None]
    return Stopped(
        reason=min((run.reason for run in runs.values()), key=_PRECEDENCE.index),
        worst_half_width=max(known) if known and len(known) == len(widths) else None,
    )


# Of several devices' reasons the one that matters most is told.
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
    here = [n for n, spec in devices.items() if isinstance(spec, HostSpec | ArmSpec)]
    emulated = [
        n
        for n, spec in devices.items()
        if isinstance(spec, AndroidSpec) and spec.transport == "emulated"
    ]
    in_turn = [*here, *emulated] if here else []
    alone = [[name] for name in devices if name not in in_turn]
    return [in_turn, *alone] if in_turn else alone


def _take_turns(runs: list[DeviceRun]) -> None:
    """One device after the other; once interrupted, none is begun."""
    for run in runs:
        if run.attendant.stopping.is_set():
            run.reason = "interrupted"
            continue
        run.run()
        if run.reason == "interrupted":
            for other in runs:
                other.attendant.stopping.set()


def _side_by_side(in_lanes: list[list[DeviceRun]]) -> None:
    """One thread per lane; Ctrl-C ends the launches under way."""
    with ThreadPoolExecutor(len(in_lanes)) as pool:
        futures = [pool.submit(_take_turns, lane) for lane in in_lanes]
        try:
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            # Each puts its phone back as it was, however often one is told to stop.
            with contextlib.suppress(KeyboardInterrupt), interrupts.held():
                for run in (run for lane in in_lanes for run in lane):
                    run.attendant.stopping.set()
                pool.shutdown()
