"""What tells a device from the one on which a run began."""

from __future__ import annotations

import msgspec
import pytest

from harness.core.types import DeviceFacts
from harness.measure import identity

BEFORE = DeviceFacts(
    name="phone",
    kind="android",
    identity="Pixel 7 / Android 14",
    runtimes={"benchmark_model": "A", "other": "1"},
    extra={
        "serial": "S1",
        "fingerprint": "f1",
        "runner_sha256": "aa",
        "app_sha256": "bb",
        "affinity": "c0 f",
        "battery": "90 %",
    },
)


def with_extra(key: str, value: str) -> DeviceFacts:
    return msgspec.structs.replace(BEFORE, extra=BEFORE.extra | {key: value})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            msgspec.structs.replace(BEFORE, identity="Pixel 8"),
            "then Pixel 7 / Android 14; now Pixel 8",
        ),
        (
            msgspec.structs.replace(BEFORE, runtimes={"benchmark_model": "B"}),
            "then benchmark_model A; now benchmark_model B",
        ),
        (with_extra("serial", "S2"), "then serial S1; now serial S2"),
        (with_extra("fingerprint", "f2"), "then build f1; now build f2"),
        (with_extra("runner_sha256", "cc"), "then runner SHA-256 aa; now runner SHA-256 cc"),
        (with_extra("app_sha256", "cc"), "then app SHA-256 bb; now app SHA-256 cc"),
        (with_extra("affinity", "all"), "then cores c0 f; now cores all"),
        (with_extra("battery", "20 %"), None),
        (msgspec.structs.replace(BEFORE, extra={}), None),  # one side does not know
        (
            msgspec.structs.replace(BEFORE, runtimes={"benchmark_model": "A", "other": "2"}),
            None,  # a runtime that the run does not use
        ),
    ],
)
def test_what_differs_is_named_from_both_sides(now: DeviceFacts, told: str | None) -> None:
    assert identity.difference(BEFORE, now, {"benchmark_model"}) == told
