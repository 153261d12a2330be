from __future__ import annotations

import argparse
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import api
from harness.commands import bench
from harness.core.errors import UsageError
from harness.project.preflight import resolve
from harness.project.request import Request
from tests.paths import DATA, ROOT

MODELS = DATA / "models"
TINY, TINY_INT8 = str(MODELS / "tiny_float32.tflite"), str(MODELS / "tiny_int8.tflite")


def test_public_names() -> None:
    assert set(harness.__all__) == {"Report", "__version__", "bench", "build", "compare", "load"}
    assert set(api.__all__) == {*harness.__all__, "LoadedReport", "search"} - {"__version__"}
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
    own = {"names", "data", "untrained", "weights", "seed", "project"}
    assert built == own | {"lab", "lab_keys"}


def test_an_option_has_its_default_in_one_place() -> None:
    """What help() shows, what the command line takes and what Request has are the same."""
    shown = inspect.signature(api.bench).parameters
    defaults = {name: shown[name].default for name in shown if name != "what"}
    assert defaults == {name: Request._field_defaults[name] for name in defaults}
    assert api._request((), {}) == Request()

    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    fields = {action.dest for action in parser._actions} & set(Request._fields)
    assert fields == set(Request._fields) - {"command"}
    assert bench._request(parser.parse_args([]))._replace(command=()) == Request()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"launchs": 3}, "bench() has no option 'launchs'; did you mean 'launches'"),
        ({"command": ("x",)}, "bench() has no option 'command'"),
        ({"devices": "host"}, "devices is a list, such as ['host']"),
        ({"threads": 2}, "threads is a list, such as [2]"),
        ({"affinity": "big"}, "affinity is a list, such as ['big']"),
        ({"starts": "cold"}, "starts is a list, such as ['cold']"),
    ],
)
def test_a_wrong_option_is_told_with_the_right_one(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError) as error:
        api.bench(TINY, **options)
    assert str(error.value).startswith(says)


@pytest.mark.parametrize(
    ("what", "options", "says"),
    [
        ("", {}, "unknown variant ''"),
        (TINY, {"data": ""}, "--data is empty"),
        (TINY, {"out": ""}, "out is empty"),
        (TINY, {"project": ""}, "project is empty"),
    ],
)
def test_an_empty_name_is_neither_the_current_folder_nor_the_default(
    what: str, options: dict[str, Any], says: str
) -> None:
    """Most likely it comes from a variable of the environment that is not set."""
    with pytest.raises(UsageError, match=says):
        api.bench(what, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"launches": 0}, "launches 0 is not at least 1"),
        ({"accuracy_images": -1}, "accuracy_images -1 is not at least 1"),
        ({"threads": [1, 0]}, "threads 0 is not at least 1"),
        ({"time_budget_s": 0.0}, "time_budget_s 0.0 is not a time in seconds"),
        ({"target_ci": 3}, "target_ci 3 is not a share between 0 and 1"),
        ({"seed": -1}, "seed -1 is not from 0 to 4294967295"),
        ({"prefer": "sise"}, "unknown prefer 'sise'"),
        ({"accuracy": "phone"}, "unknown accuracy 'phone'"),
        ({"wait_s": 5.0}, "--wait is for phones"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError) as error:
        api.bench(TINY, out=tmp_path / "reports", **options)
    assert error.value.message.startswith(says)
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_no_device_is_refused_and_other_empty_lists_mean_the_default(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="no device is named; name one, such as host"):
        api.bench(TINY, devices=[])
    project = tmp_path / "devices.yaml"
    project.write_text("devices: {phone: {kind: android, transport: emulated}}")
    none: Any = {"delegates": (), "affinity": (), "threads": ()}
    job = resolve(Request(what=(str(TINY),), devices=("phone",), project=tmp_path, **none))
    of_phone = job.settings["phone"]
    assert (of_phone.delegates, of_phone.affinities, of_phone.threads) == (("cpu",), ("",), (1,))


LOOP = """
import sys, harness
for n in range(20):
    print("round", n, flush=True)
    harness.bench(sys.argv[1], launches=6, out="reports")
"""


def test_ctrl_c_ends_a_loop_over_bench_once_the_report_is_saved(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", LOOP, TINY],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        journals = list(tmp_path.glob("reports/*/journal.jsonl"))
        if journals and b'"launch"' in journals[0].read_bytes():
            break
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=600)
    assert out == "round 0\n"
    (run,) = (tmp_path / "reports").glob("[0-9]*")
    assert err.rstrip().endswith(
        f"KeyboardInterrupt: what was measured is saved in reports/{run.name}"
    )
    report = harness.load("latest", tmp_path / "reports")
    assert report.stopped is not None
    assert report.stopped.reason == "interrupted"
    assert report.cases[0].launches


def test_errors_are_the_same_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        harness.load("latest", tmp_path)
    with pytest.raises(UsageError, match="unknown variant"):
        api.bench("scrtach", out=tmp_path)
