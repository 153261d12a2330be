"""When a phone is fit to measure on, and the findings when it is not."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.core.attendant import Attendant
from harness.core.base import HEAT
from harness.core.errors import TransientDeviceError
from harness.core.specs import Guards
from harness.core.types import Conditions, Finding

POLL_S = 2.0
_COOL_IT = "cool it, take it off the charger and out of its case; or measure with --sustained"
UNFIT = (HEAT, "guard")  # stages of what it raises here: waiting again would not help


def too_hot(guards: Guards, now: Conditions) -> bool:
    """Whether the phone slows itself down. One that does not report its thermal status counts as
    cool."""
    return (now.thermal_status or 0) > guards.max_thermal_status


def await_fit(
    guards: Guards, conditions: Callable[[], Conditions], attendant: Attendant
) -> Conditions:
    """Wait until the phone is cool; raises TransientDeviceError, of the stage `heat` if it does not
    become so, of the stage `guard` if its battery is low. Either ends all of its cases, so that
    each case need not wait again."""
    end = time.monotonic() + guards.cooldown_s
    while True:
        now = conditions()
        level = now.battery_percent
        if level is not None and level < guards.min_battery_percent:
            raise TransientDeviceError(
                "guard",
                f"the battery is at {level} %, less than {guards.min_battery_percent} %",
                "charge the phone and go on with --resume, or lower guards.min_battery_percent in "
                "devices.yaml",
            )
        if not too_hot(guards, now):
            return now
        left = end - time.monotonic()
        if left <= 0:
            raise TransientDeviceError(
                HEAT,
                f"the phone stayed hot (thermal status {now.thermal_status}) for "
                f"{guards.cooldown_s:g} s",
                "let it cool off the charger and go on with --resume, or raise guards.cooldown_s "
                "in devices.yaml",
            )
        attendant.show(f"hot (thermal status {now.thermal_status}), cooling, {left:.0f} s left")
        attendant.wait(min(POLL_S, left))


def repeated(after: Conditions) -> Finding:
    """The finding that a launch was set aside because of heat and measured again."""
    return Finding(
        level="info",
        code="repeated-hot",
        message=f"one launch was repeated: the phone became hot (status {after.thermal_status})",
    )


def suspect(after: Conditions) -> Finding:
    """The finding of the launch that was set aside."""
    return Finding(
        level="serious",
        code="became-hot",
        message=f"the phone became hot during it (status {after.thermal_status}); not used",
    )


def throttled(after: Conditions) -> Finding:
    """The finding that the phone became hot again in the repetition."""
    return Finding(
        level="invalid",
        code="throttled",
        message=f"the phone throttled twice during a launch (status {after.thermal_status})",
        fix=_COOL_IT,
    )


def unrepeated(after: Conditions, why: str) -> Finding:
    """The finding that the phone became hot and the launch could not be repeated, so there is only
    the hot launch."""
    return Finding(
        level="invalid",
        code="throttled",
        message=f"the phone throttled during a launch (status {after.thermal_status}), which "
        f"could not be repeated: {why}",
        fix=_COOL_IT,
    )


def no_thermal_status() -> Finding:
    """The finding that the phone does not report the thermal status that the guard needs."""
    return Finding(
        level="warning",
        code="no-thermal-status",
        message="the phone does not report its thermal status (before Android 10): heat shows "
        "only in a lowered clock (clock-limit) and in latency that drifts over launches (drift)",
        fix="make ten launches or more, and do not trust them if there is one of these findings",
    )


def no_fixed_performance(said: str) -> Finding:
    """The finding that the phone refused steady clocks."""
    return Finding(
        level="warning",
        code="no-fixed-performance",
        message=f"the phone refuses fixed-performance mode ({said}): its clocks may change "
        "while it is measured",
        fix="make more launches, or set fixed_performance: false in devices.yaml to measure it as "
        "it is",
    )
