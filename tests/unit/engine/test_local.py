"""Lanes side by side, works of one lane in turn; what ends one and what ends all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.engine import Ending, local
from harness.engine.local import LocalEngine


class Piece:
    """Work that writes down when it ran, and does `during` meanwhile."""

    def __init__(self, ran: list[str], name: str, ending: Ending = "done") -> None:
        self.ran, self.name, self.ending = ran, name, ending
        self.stopped = threading.Event()
        self.waits_for: threading.Event | None = None
        self.begun = threading.Event()

    def run(self) -> Ending:
        if self.stopped.is_set():
            return "interrupted"
        self.begun.set()
        if self.waits_for is not None:
            assert self.waits_for.wait(20)
        self.ran.append(self.name)
        return self.ending

    def stop(self) -> None:
        self.stopped.set()


def gathered(pieces: dict[str, list[Piece]]) -> None:
    engine = LocalEngine()
    for lane, works in pieces.items():
        for work in works:
            engine.submit(work, lane)
    engine.gather()


def test_works_of_one_lane_take_turns() -> None:
    ran: list[str] = []
    gathered({"a": [Piece(ran, "1"), Piece(ran, "2"), Piece(ran, "3")]})
    assert ran == ["1", "2", "3"]


def test_lanes_run_side_by_side() -> None:
    ran: list[str] = []
    first, second = Piece(ran, "1"), Piece(ran, "2")
    first.waits_for = second.begun  # which would be for ever if they took turns
    gathered({"a": [first], "b": [second]})
    assert sorted(ran) == ["1", "2"]


def test_an_interrupted_work_ends_its_lane_and_no_other() -> None:
    ran: list[str] = []
    other = Piece(ran, "other")
    gathered({"a": [Piece(ran, "1", "interrupted"), Piece(ran, "2")], "b": [other]})
    assert sorted(ran) == ["1", "other"]
    assert not other.stopped.is_set()


def test_a_refusal_ends_all() -> None:
    ran: list[str] = []
    first, other = Piece(ran, "1", "refused"), Piece(ran, "other")
    first.waits_for, other.waits_for = other.begun, other.stopped
    gathered({"a": [first, Piece(ran, "2")], "b": [other]})
    assert sorted(ran) == ["1", "other"]
    assert other.stopped.is_set()


def test_ctrl_c_before_the_last_lane_has_begun_ends_those_that_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **options: Any) -> Any:
            if first.begun.is_set():
                raise KeyboardInterrupt
            future = super().submit(*args, **options)
            assert first.begun.wait(20)
            return future

    monkeypatch.setattr(local, "ThreadPoolExecutor", Pool)
    ran: list[str] = []
    first, second = Piece(ran, "1"), Piece(ran, "2")
    first.waits_for = first.stopped
    gathered({"a": [first], "b": [second]})
    assert ran == ["1"] and second.stopped.is_set()


def test_an_engine_can_gather_again() -> None:
    ran: list[str] = []
    engine = LocalEngine()
    for name in ("1", "2"):
        engine.submit(Piece(ran, name), "a")
        engine.gather()
    assert ran == ["1", "2"]
