from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from harness.commands import bench
from harness.core.specs import HostSpec
from harness.core.types import Plan
from harness.measure import planning
from harness.project.preflight import resolve
from harness.project.request import (
    DEFAULT_LAUNCHES,
    DEFAULT_TIME_BUDGET_S,
    LEAST_LAUNCHES,
    Request,
)
from tests.fakes import artifact
from tests.paths import DATA

TINY = str(DATA / "models/tiny_int8.tflite")


def plan(tmp_path: Path, **options: Any) -> Plan:
    job = resolve(Request(what=(TINY,), out=tmp_path, **options))
    assert job.devices == {"host": HostSpec()}
    return planning.make_plan(job, {"tiny_int8": artifact("tiny_int8")})


@pytest.mark.parametrize(
    ("options", "launches", "least", "seconds"),
    [
        ({}, None, DEFAULT_LAUNCHES, DEFAULT_TIME_BUDGET_S),
        ({"time_budget_s": 5.0}, None, LEAST_LAUNCHES, 5.0),
        ({"quick": True}, LEAST_LAUNCHES, DEFAULT_LAUNCHES, DEFAULT_TIME_BUDGET_S),
        ({"quick": True, "time_budget_s": 5.0}, None, LEAST_LAUNCHES, 5.0),
        ({"launches": 3}, 3, DEFAULT_LAUNCHES, DEFAULT_TIME_BUDGET_S),
    ],
)
def test_how_much_is_measured_at_least(
    tmp_path: Path, options: dict[str, Any], launches: int | None, least: int, seconds: float
) -> None:
    made = plan(tmp_path, **options)
    assert (made.launches, made.min_launches, made.time_budget_s) == (launches, least, seconds)


def test_help_says_the_numbers_that_are_used() -> None:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    told = {action.dest: action.help or "" for action in parser._actions}["time_budget_s"]
    assert f"(default: {DEFAULT_TIME_BUDGET_S:g}s)" in told
    assert f"at least {DEFAULT_LAUNCHES} times, or {LEAST_LAUNCHES} times" in told
