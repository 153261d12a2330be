"""The command line of benchmark_model."""

from __future__ import annotations

import pytest

from harness.core.errors import StableDeviceError
from harness.core.types import Case, Timing
from harness.devices.runners import benchmark_model as runner
from tests.paths import DATA

GOLDEN = DATA / "golden"
CASE = Case(variant="v", device="d", runtime="benchmark_model", threads=2)


def test_the_loop_is_the_plans() -> None:
    timing = Timing(min_time_ns=250_000_000, min_iterations=7, warmup_time_ns=0, min_warmup=1)
    assert runner.arguments("A", "/m.tflite", CASE, timing, max_secs=100) == [
        "--graph=/m.tflite",
        "--num_threads=2",
        "--num_runs=7",
        "--min_secs=0.25",
        "--max_secs=100",
        "--warmup_runs=1",
        "--warmup_min_secs=0",
    ]


@pytest.mark.parametrize(
    ("dialect", "delegate", "flags"),
    [
        ("A", "cpu", []),
        ("A", "gpu", ["--use_gpu=true"]),
        ("A", "npu", ["--use_nnapi=true"]),
        ("B", "cpu", ["--use_cpu=true"]),
        ("B", "gpu", ["--use_cpu=false", "--use_gpu=true"]),
        ("B", "npu", ["--use_cpu=false", "--use_npu=true"]),
    ],
)
def test_delegates(dialect: runner.Dialect, delegate: str, flags: list[str]) -> None:
    case = Case(variant="v", device="d", runtime="benchmark_model", delegate=delegate)
    line = runner.arguments(dialect, "m", case, Timing(), max_secs=1)
    assert [f for f in line if f.startswith("--use_")] == flags


def test_inputs_and_outputs_are_dialect_a_only() -> None:
    given = [runner.Input("serving_default_x:0", (1, 4), "/w/in:put.bin")]
    line = runner.arguments(
        "A", "m", CASE, Timing(), max_secs=1, inputs=given, output_path="/w/out.bin"
    )
    assert line[-4:] == [
        "--input_layer=serving_default_x:0",
        "--input_layer_shape=1,4",
        "--input_layer_value_files=serving_default_x::0:/w/in::put.bin",
        "--output_filepath=/w/out.bin",
    ]
    with pytest.raises(StableDeviceError, match="takes no inputs"):
        runner.arguments("B", "m", CASE, Timing(), max_secs=1, inputs=given)


def test_the_dialect_is_read_off_the_help() -> None:
    text = (GOLDEN / "common" / "help" / "stderr.txt").read_text()
    assert runner.dialect_of(text) == "A"
    assert runner.dialect_of("--use_cpu=true\n--use_npu=false") == "B"
    with pytest.raises(StableDeviceError, match="not benchmark_model"):
        runner.dialect_of("usage: cat [FILE]\x1b[31m")


def test_every_flag_we_use_is_known_to_the_real_tool() -> None:
    text = (GOLDEN / "common" / "help" / "stderr.txt").read_text()
    line = runner.arguments(
        "A",
        "m",
        CASE,
        Timing(cadence_ns=10**9),
        max_secs=1,
        result_path="r",
        profile=True,
        signature="s",
        inputs=[runner.Input("x", (1,), "p")],
        output_path="o",
    )
    for flag in line:
        assert f"\t{flag.partition('=')[0]}=" in text, flag
