"""Several builds at a time, with real child processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from harness.artifacts.side_by_side import AT_ONCE, Children, each
from harness.system.process import Child


class Floor:
    """Where jobs are worked on; a job is a letter that says what it claims, and a number."""

    def __init__(self, work: Callable[[str], str] = str.upper) -> None:
        self.work, self.lock = work, threading.Lock()
        self.now: set[str] = set()
        self.seen: list[set[str]] = []
        self.begun: list[str] = []

    def __call__(self, job: str) -> str:
        with self.lock:
            self.now.add(job)
            self.seen.append(set(self.now))
            self.begun.append(job)
        time.sleep(0.02)
        try:
            return self.work(job)
        finally:
            with self.lock:
                self.now.remove(job)

    def run(self, *jobs: str) -> dict[str, str]:
        done = each(jobs, self, claims=lambda job: {job[0]}, children=Children())
        return {job: future.result() for job, future in done}


def sleeping() -> Child:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return Child(command, stderr=subprocess.DEVNULL)


def test_each_is_done_and_as_many_at_a_time_as_may_be() -> None:
    floor = Floor()
    assert floor.run("a1", "b2", "c3", "d4") == {"a1": "A1", "b2": "B2", "c3": "C3", "d4": "D4"}
    assert max(map(len, floor.seen)) == AT_ONCE
    assert sorted(floor.begun[:2]) == ["a1", "b2"]


def test_what_claims_the_same_is_done_one_after_the_other() -> None:
    floor = Floor()
    floor.run("a1", "a2", "a3", "b4", "b5")
    assert all(len({job[0] for job in seen}) == len(seen) for seen in floor.seen)
    assert set(floor.begun[:2]) == {"a1", "b4"}  # nobody waits for what somebody else makes


def test_an_error_is_of_its_job_alone() -> None:
    def work(job: str) -> str:
        if job == "b2":
            raise ValueError(job)
        return job

    found = {}
    for job, future in each(
        ["a1", "b2", "c3"], work, claims=lambda job: {job}, children=Children()
    ):
        found[job] = future.exception()
    assert {job: type(error) for job, error in found.items()} == {
        "a1": type(None),
        "b2": ValueError,
        "c3": type(None),
    }


def test_children_end_when_the_iteration_does() -> None:
    children, started = Children(), threading.Semaphore(0)

    def work(job: str) -> int:
        if job == "quick":
            started.acquire()
            return 0
        child = sleeping()
        started.release()
        with child, children.watching(child):
            return child.wait()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in each(["slow", "quick"], work, claims=lambda job: {job}, children=children):
            raise KeyboardInterrupt
    assert time.monotonic() - began < 30
    late = sleeping()
    with late, children.watching(late):
        assert late.wait() != 0  # nor does one that is started afterwards go on
