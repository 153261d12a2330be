"""Text for a person: nearest names, plurals, and what others wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.core import text, units


def test_the_nearest_names_are_offered_and_then_those_that_contain_it() -> None:
    known = ["adb_tcp", "adb_usb", "emulated"]
    assert text.did_you_mean("adb_tpc", known).startswith("did you mean 'adb_tcp'")
    assert text.did_you_mean("p", ["latency_p95"]) == "did you mean 'latency_p95'?"
    assert (
        text.did_you_mean("nosuch", ["arm64", "onnx", "torch"]) == "choose from arm64, onnx, torch"
    )
    assert text.did_you_mean("zzz", known) == "choose from adb_tcp, adb_usb, emulated"
    assert text.did_you_mean("zzz", []) == "there is none"


def test_one_is_singular() -> None:
    assert text.count(1, "launch", "launches") == "1 launch"
    assert text.count(3, "launch", "launches") == "3 launches"
    assert text.count(0, "run") == "0 runs"


@given(st.text())
def test_nothing_foreign_steers_a_terminal(foreign: str) -> None:
    assert "\n" not in text.clean(foreign)
    for shown in (text.clean(foreign).replace("\t", ""), text.printable(foreign)):
        assert not any(c in shown for c in "\x00\x1b\r\u202e\u2066\ud800")


def test_one_home_for_foreign_text() -> None:
    assert units.printable is text.printable
