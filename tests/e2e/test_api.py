from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import harness
from harness import api
from harness.core.errors import UsageError
from harness.project.request import Request
from tests.paths import DATA

MODELS = DATA / "models"
TINY, TINY_INT8 = str(MODELS / "tiny_float32.tflite"), str(MODELS / "tiny_int8.tflite")


def test_public_names() -> None:
    assert set(harness.__all__) == {"Report", "__version__", "bench", "build", "compare", "load"}
    assert set(api.__all__) == {"LoadedReport", "Report", "bench", "build", "compare", "load"}
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    with pytest.raises(AttributeError):
        harness.no_such_name  # noqa: B018


def test_bench_load_and_frames(tmp_path: Path) -> None:
    made = api.bench(TINY, TINY_INT8, launches=2, quick=True, out=tmp_path)
    loaded = harness.load("latest", tmp_path)
    assert loaded == made
    frame = loaded.frame()
    assert list(frame["variant"]) == ["tiny_float32", "tiny_int8"]
    assert (frame["latency_ns"] > 0).all()
    launches = loaded.launches()
    assert len(launches) == 4
    latency = loaded.observations()["latency_ns"].dropna()
    assert len(latency) == sum(len(x.latency_ns) for c in loaded.cases for x in c.launches)
    comparison = harness.compare(loaded, loaded)
    sizes = [m for c in comparison.cases for m in c.metrics if m.metric == "size"]
    assert [m.outcome for m in sizes] == ["no change", "no change"]


def test_bench_takes_what_the_command_line_takes() -> None:
    options = set(inspect.signature(api.bench).parameters)
    assert options == set(Request._fields) - {"command"}
    built = set(inspect.signature(api.build).parameters)
    assert built == {"names", "data", "untrained", "weights", "seed", "project"}


def test_errors_are_the_same_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        harness.load("latest", tmp_path)
    with pytest.raises(UsageError, match="unknown variant"):
        api.bench("scrtach", out=tmp_path)
