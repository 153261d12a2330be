"""What benchmark_model printed, over every capture of the real tool and over mutilated ones."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import HarnessError, StableDeviceError, WorkerError
from harness.core.text import clean_lines
from harness.core.types import TensorInfo
from harness.devices.android import parity
from harness.devices.runners import benchmark_model as runner
from harness.devices.runners._output import Malformed, read_output, read_result_file
from harness.devices.runners._profile import read_profile
from tests.paths import DATA

GOLDEN = DATA / "golden"
CASES = sorted(p.parent for p in GOLDEN.glob("*/*/stdout.txt"))
GOOD = [c for c in CASES if (c / "exit_code.txt").read_text().strip() == "0"]
BAD = [c for c in CASES if c not in GOOD]

# Status 0, and yet no number that may be used.
UNUSABLE = {"err_unknown_flag", "err_use_gpu", "use_nnapi", "num_runs_0", "verbose_dry_run"}


def name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def texts(case: Path) -> tuple[str, str]:
    out, err = ((case / f"{n}.txt").read_bytes() for n in ("stdout", "stderr"))
    return clean_lines(out), clean_lines(err)


def status(case: Path) -> int:
    """As a shell on the phone shows it."""
    code = int((case / "exit_code.txt").read_text())
    return code if code >= 0 else 128 - code


def interpret(case: Path, delegate: str = "cpu") -> runner.Outcome:
    file = case / "results.pb"
    return runner.interpret(
        status(case),
        *texts(case),
        delegate=delegate,
        result_file=file.read_bytes() if file.exists() else None,
    )


def test_there_are_captures() -> None:
    assert len(GOOD) > 30
    assert len(BAD) > 12


@pytest.mark.parametrize("case", [c for c in GOOD if c.name not in UNUSABLE], ids=name)
def test_every_good_capture_gives_its_numbers(case: Path) -> None:
    outcome = interpret(case)
    # Read once more in the plainest way: the last count= line before the closing line.
    stdout = (case / "stdout.txt").read_text().partition("Inference timings")[0]
    line = [li for li in stdout.splitlines() if "count=" in li][-1]
    fields = dict(f.split("=") for f in line.split() if "=" in f)
    assert outcome.latency.count == int(fields["count"])
    assert outcome.latency.median_ns == int(fields["median"]) * 1000
    assert outcome.latency.p95_ns == int(fields["p95"]) * 1000
    assert outcome.init_ns is not None
    assert outcome.init_ns > 0


@pytest.mark.parametrize("case", [c for c in GOOD if c.name in UNUSABLE], ids=name)
def test_status_0_is_not_enough(case: Path) -> None:
    with pytest.raises(WorkerError) as caught:
        interpret(case)
    assert caught.value.fix


@pytest.mark.parametrize("case", BAD, ids=name)
def test_every_failure_says_what_the_tool_said(case: Path) -> None:
    with pytest.raises((WorkerError, StableDeviceError)) as caught:
        interpret(case)
    assert "\n" not in str(caught.value)
    assert caught.value.fix
    said = re.search(r"^(?:ERROR|FATAL): (.*\S)", texts(case)[1], re.MULTILINE)
    assert said
    if said[1] != "Benchmarking failed.":
        assert said[1].strip()[:60] in str(caught.value)


def test_numbers_of_one_capture() -> None:
    outcome = interpret(GOLDEN / "mobilenet_int8" / "result_nopeak")
    assert outcome.init_ns == 9_503_000
    assert outcome.first_inference_ns == 7_985_000
    assert outcome.latency.count == 10
    assert outcome.latency.mean_ns == 9_118_600
    assert outcome.latency.min_ns == 8_295_000
    assert outcome.latency.max_ns == 11_125_000
    assert outcome.latency.std_ns == 978_000
    assert outcome.latency.p5_ns == 8_295_000
    assert outcome.warmup is not None
    assert outcome.warmup.count == 1
    assert outcome.warmup.min_ns == 7_985_000


def test_no_warm_up_has_no_first_inference() -> None:
    outcome = interpret(GOLDEN / "mobilenet_int8" / "warmup_0")
    assert outcome.warmup is None
    assert outcome.first_inference_ns is None


def test_peak_memory_is_in_bytes() -> None:
    outcome = interpret(GOLDEN / "mobilenet_int8" / "threads2_mem")
    assert outcome.peak_bytes == int(23.6211 * 2**20)


def test_large_averages_are_printed_with_an_exponent() -> None:
    out, err = texts(GOLDEN / "mobilenet_int8" / "default")
    out = re.sub(r"avg=6972.79", "avg=1.53025e+06", out).replace("max=11275", "max=2000000")
    assert runner.interpret(0, out, err, delegate="cpu").latency.mean_ns == 1_530_250_000


def test_result_files_say_what_the_text_says() -> None:
    for case in GOOD:
        if not (case / "results.pb").exists():
            continue
        file = read_result_file((case / "results.pb").read_bytes())
        decoded = (case / "results.decoded.txt").read_text()
        median = re.search(r"median_ms: (\S+)", decoded)
        runs = re.search(r"num_runs: (\d+)", decoded)
        assert median and runs
        assert file.latency_ms["median"] == pytest.approx(float(median[1]))
        assert file.misc["num_runs"] == int(runs[1])


def test_a_result_file_of_another_launch_is_noticed() -> None:
    other = (GOLDEN / "scratch_f32" / "result_nopeak" / "results.pb").read_bytes()
    with pytest.raises(WorkerError, match="no usable result"):
        runner.interpret(
            0,
            *texts(GOLDEN / "mobilenet_int8" / "result_nopeak"),
            delegate="cpu",
            result_file=other,
        )


@pytest.mark.parametrize("case", [c for c in GOOD if c.name not in UNUSABLE][:12], ids=name)
def test_cut_anywhere_gives_the_same_numbers_or_an_error(case: Path) -> None:
    out, err = texts(case)
    whole = runner.interpret(0, out, err, delegate="cpu").latency
    end = out.index("Inference (avg)")
    for cut in {*range(0, end, 37), *range(end - 200, end)}:
        with pytest.raises(WorkerError):
            runner.interpret(0, out[:cut], err, delegate="cpu")
    assert (
        runner.interpret(0, out[: out.index("\n", end) + 1], err, delegate="cpu").latency == whole
    )


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 8))
def test_mutilated_output_never_escapes(seed: int, count: int) -> None:
    """Bytes changed at random: a number or an error of ours, never anything else."""
    rng = random.Random(seed)
    case = rng.choice(GOOD)
    data = bytearray((case / "stdout.txt").read_bytes())
    for _ in range(count):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = bytes(
            rng.choice(b"0123456789=. \n-einfa\x1b\xff") for _ in range(rng.randrange(3))
        )
    try:
        outcome = runner.interpret(0, clean_lines(bytes(data)), "", delegate="cpu")
    except HarnessError as error:
        assert "\n" not in str(error)
        assert "\x1b" not in str(error)
    else:
        assert outcome.latency.count > 0
        assert outcome.latency.median_ns > 0


@pytest.mark.parametrize("case", CASES, ids=name)
def test_every_capture_mutilated_is_a_number_or_an_error_of_ours(case: Path) -> None:
    """Both streams and the result file, through the function that judges a launch."""
    rng = random.Random(case.name)
    file = case / "results.pb"
    for _ in range(25):
        out, err = ((case / f"{n}.txt").read_bytes() for n in ("stdout", "stderr"))
        pb = file.read_bytes() if file.exists() else None
        try:
            outcome = runner.interpret(
                0,
                clean_lines(mutilated(out, rng)),
                clean_lines(mutilated(err, rng)),
                delegate="cpu",
                result_file=None if pb is None else mutilated(pb, rng),
            )
        except HarnessError as error:
            assert "\n" not in str(error)
            assert "\x1b" not in str(error)
        else:
            assert outcome.latency.count > 0
            assert outcome.latency.median_ns > 0


def mutilated(data: bytes, rng: random.Random) -> bytes:
    """Cut off, a piece out of the middle, or bytes changed."""
    if not data:
        return data
    at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    changed = bytes(b ^ rng.randrange(256) if rng.random() < 0.02 else b for b in data)
    return rng.choice((data[:at], data[:at] + data[to:], changed))


@pytest.mark.parametrize("model", ["mobilenet_int8", "scratch_f32"])
def test_the_answers_of_the_real_tool_are_those_of_python(model: str) -> None:
    """What `--output_filepath` wrote, read as `--parity` reads it, against litert's answer to the
    same input."""
    case = GOLDEN / model / "input_file_output"
    kind, scale = ("int8", 1 / 256) if model.endswith("int8") else ("float32", None)
    tensor = TensorInfo(
        name="out", shape=(1, 1), dtype=kind, scale=scale, zero_point=-128 if scale else None
    )
    phone, python = (
        parity.outputs([(case / f).read_bytes()], [tensor], "x").values
        for f in ("output.bin", "python_ref_output.bin")
    )
    assert phone == python
    assert len(phone[0]) == 1
    # The raw bytes of the tool's own record of the example are the file's.
    assert (case / "output.bin").read_bytes() in (case / "output_example.pb").read_bytes()


@pytest.mark.parametrize("model", ["mobilenet_int8", "scratch_f32"])
def test_the_profile_names_operators_that_the_other_formats_name_too(model: str) -> None:
    ops = read_profile((GOLDEN / model / "prof_stdout" / "stdout.txt").read_text(), top=1000)
    proto = (GOLDEN / model / "prof_proto" / "profile.pb").read_bytes()
    table = (GOLDEN / model / "prof_csv" / "profile.csv").read_text()
    assert len(ops) >= 5
    for op in ops:
        assert op.op.encode() in proto
        assert op.op in table


@pytest.mark.parametrize(
    ("model", "how_much"), [("mobilenet_int8", "completely"), ("scratch_f32", "partially")]
)
def test_real_captures_say_how_much_was_delegated(model: str, how_much: str) -> None:
    """On the CPU no accelerator is asked for; the same text, asked of as a GPU's, is an error:
    what ran was XNNPACK."""
    case = GOLDEN / model / "xnnpack_explicit"
    assert set(read_output(*texts(case)).applied.values()) == {how_much}
    assert interpret(case).notes == ()
    with pytest.raises(WorkerError, match="gpu was asked for and ran none of the model's nodes"):
        interpret(case, delegate="gpu")


@given(st.binary(max_size=300))
def test_any_bytes_as_result_file(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_result_file(data)


@given(st.text(max_size=300))
def test_any_text_as_output(text: str) -> None:
    with contextlib.suppress(Malformed):
        read_output(text, text)


# --- dialect B -------------------------------------------------------------------------------

# From the source of litert/tools/benchmark_litert_model; no real capture could be had.
DIALECT_B_OUT = """\
INFO: STARTING!
INFO: Graph: [m.tflite]
INFO: The input model file size (MB): 2.65051
INFO: Initialized session in 11.08ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=60 first=8251 curr=8032 min=7796 max=9431 avg=8293.93 std=244 p5=7953 median=8286 \
p95=8679

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=143 first=8121 curr=5713 min=5713 max=11275 avg=6972.79 std=983 p5=5878 median=6663 \
p95=8499
"""
DIALECT_B_ERR = """\
INFO: [benchmark_litert_model.cc:88] ========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.cc:90] Model initialization: 11.08 ms
INFO: [benchmark_litert_model.cc:91] Inference (avg):      6.97 ms (143 runs)
"""


def test_dialect_b() -> None:
    outcome = runner.interpret(0, DIALECT_B_OUT, DIALECT_B_ERR, delegate="cpu")
    assert outcome.latency.median_ns == 6_663_000
    assert outcome.init_ns == 11_080_000
    with pytest.raises(WorkerError, match="closing lines"):
        runner.interpret(0, DIALECT_B_OUT, "", delegate="cpu")


# --- delegation ------------------------------------------------------------------------------

GPU = (
    "INFO: Replacing {} out of 66 node(s) with delegate (TfLiteGpuDelegateV2) node, "
    "yielding 3 partitions for subgraph 0.\n"
)
XNNPACK = GPU.replace("TfLiteGpuDelegateV2", "TfLiteXNNPackDelegate")


def test_an_accelerator_that_ran_nothing_is_an_error() -> None:
    for extra in ("", XNNPACK.format(66), GPU.format(0)):
        with pytest.raises(WorkerError, match="ran none of the model's nodes"):
            runner.interpret(0, DIALECT_B_OUT, DIALECT_B_ERR + extra, delegate="gpu")
    not_at_all = (
        "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed "
        "by the delegate.\n"
    )
    with pytest.raises(WorkerError, match="ran none"):
        runner.interpret(0, DIALECT_B_OUT + not_at_all, DIALECT_B_ERR, delegate="gpu")


def test_partial_delegation_is_told() -> None:
    outcome = runner.interpret(0, DIALECT_B_OUT, DIALECT_B_ERR + GPU.format(60), delegate="gpu")
    assert outcome.counters == {"delegated_nodes": 60, "total_nodes": 66}
    assert outcome.notes == (), "the check of that name tells it, once"
    some = (
        "INFO: Explicitly applied GPU delegate, and the model graph will be partially executed "
        "by the delegate w/ 3 delegate kernels.\n"
    )
    outcome = runner.interpret(0, some + DIALECT_B_OUT, DIALECT_B_ERR, delegate="gpu")
    assert [n.code for n in outcome.notes] == ["partial-delegation"]


def test_full_delegation_has_nothing_to_note() -> None:
    outcome = runner.interpret(0, DIALECT_B_OUT, DIALECT_B_ERR + GPU.format(66), delegate="gpu")
    assert outcome.notes == ()
    applied = (
        "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed "
        "by the delegate.\n"
    )
    outcome = runner.interpret(0, applied + DIALECT_B_OUT, DIALECT_B_ERR, delegate="gpu")
    assert [(n.level, n.code) for n in outcome.notes] == [("info", "fully-delegated")]


def test_a_median_below_a_microsecond_is_told_as_0() -> None:
    """The tool prints whole microseconds: 0 is what it says of a model that takes less."""
    out, err = texts(GOLDEN / "scratch_f32" / "default")
    small = re.sub(r"\b(first|curr|min|max|median|p5|p95)=[0-9]+", r"\1=0", out)
    outcome = runner.interpret(0, small, re.sub(r"=[0-9]+", "=0", err), delegate="cpu")
    assert outcome.latency.median_ns == outcome.latency.max_ns == 0


# --- exit statuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (126, "sh: ./benchmark_model: not executable: 64-bit ELF file", "not executable"),
        (127, "sh: ./benchmark_model: not found", "not on the phone"),
        (134, "Aborted", "crashed (status 134, signal 6)"),
        (139, "Segmentation fault", "signal 11"),
        (137, "Killed", "memory"),
        (1, "", "status 1"),
    ],
)
def test_exit_statuses(code: int, said: str, words: str) -> None:
    with pytest.raises((WorkerError, StableDeviceError)) as caught:
        runner.interpret(code, "", said, delegate="cpu")
    assert words in str(caught.value)
    assert caught.value.fix


# --- profile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mobilenet_int8", "scratch_f32"])
def test_the_ten_most_expensive_operators(model: str) -> None:
    out, err = texts(GOLDEN / model / "prof_stdout")
    outcome = runner.interpret(0, out, err, delegate="cpu", profile=True)
    times = [op.mean_ns for op in outcome.op_times]
    assert len(times) == 10
    assert times == sorted(times, reverse=True)
    assert 0 < sum(op.share for op in outcome.op_times) <= 1
    assert all(op.name and op.op for op in outcome.op_times)


def test_operator_types_keep_their_commas() -> None:
    out, err = texts(GOLDEN / "mobilenet_int8" / "prof_stdout")
    ops = runner.interpret(0, out, err, delegate="cpu", profile=True).op_times
    assert any(op.op == "Convolution (NHWC, QC8) DWConv" for op in ops)


def test_a_profile_that_is_not_there_is_an_error() -> None:
    out, err = texts(GOLDEN / "mobilenet_int8" / "default")
    with pytest.raises(WorkerError, match="no op-level profile"):
        runner.interpret(0, out, err, delegate="cpu", profile=True)
