"""The benchmark app's lines in the phone's log, and the command that starts it."""

from __future__ import annotations

import shlex

import pytest

from harness.core.errors import ConfigError, WorkerError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android import entry_rules
from harness.devices.runners import benchmark_app as app

NONCE = "0123456789abcdef"
# As users of the app have published it (`adb logcat -v threadtime`), shortened.
LOG = f"""\
--------- beginning of main
07-14 13:14:51.800  1733  2101 I ActivityTaskManager: START u0 {{cmp={app.ACTIVITY}}}
07-14 13:14:52.000 22838 22838 I tflite_BenchmarkModelActivity: Running TensorFlow Lite benchmark \
with args: --graph=/data/local/tmp/x.tflite --num_threads=4 --benchmark_name={NONCE}
07-14 13:14:52.097 22838 22838 I tflite  : Graph: [/data/local/tmp/x.tflite]
07-14 13:14:52.099 22838 22838 I tflite  : Initialized TensorFlow Lite runtime.
07-14 13:14:52.113 22838 22838 I tflite  : Created TensorFlow Lite XNNPACK delegate for CPU.
07-14 13:14:52.115 22838 22838 I tflite  : Replacing 539 out of 548 node(s) with delegate \
(TfLiteXNNPackDelegate) node, yielding 19 partitions for subgraph 0.
07-14 13:14:52.190 22838 22838 I tflite  : The input model file size (MB): 3.06409
07-14 13:14:52.190 22838 22838 I tflite  : Initialized session in 92.318ms.
07-14 13:14:52.218 22838 22838 I tflite  : Running benchmark for at least 1 iterations and at \
least 0.5 seconds but terminate if exceeding 150 seconds.
07-14 13:14:52.500 31111 31111 I tflite  : count=9 first=1 curr=1 min=1 max=1 avg=1 std=0
07-14 13:14:52.859 22838 22838 I tflite  : count=3 first=235158 curr=200386 min=199462 \
max=235158 avg=211669 std=16613 p5=199462 median=200386 p95=235158
07-14 13:14:52.859 22838 22838 I tflite  : Running benchmark for at least 25 iterations and at \
least 1 seconds but terminate if exceeding 150 seconds.
07-14 13:14:56.520 22838 22838 I tflite  : count=25 first=187533 curr=140990 min=140071 \
max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187533
07-14 13:14:56.521 22838 22838 I tflite  : Inference timings in us: Init: 92318, First inference: \
235158, Warmup (avg): 211669, Inference (avg): 145528
07-14 13:14:56.521 22838 22838 I tflite  : Memory footprint delta from the start of the tool \
(MB): init=54.2852 overall=73.4102
07-14 13:14:56.522 22838 22838 E tflite  : Average inference timings in us: Warmup: 211669, \
Init: 92318, Inference: 145528Overall max resident set size = 73.4102 MB
"""


def test_a_published_log_is_read_as_the_tools_own_output() -> None:
    logged = app.read_log(LOG, NONCE)
    assert (logged.started, logged.finished, logged.crash) == (True, True, "")
    outcome = app.interpret(logged, "cpu")
    assert outcome.latency.count == 25
    assert outcome.latency.median_ns == 141_253_000
    assert outcome.init_ns == 92_318_000
    assert outcome.first_inference_ns == 235_158_000
    assert outcome.counters == {"delegated_nodes": 539, "total_nodes": 548}
    assert outcome.notes == ()


def test_another_launch_and_another_process_are_not_it() -> None:
    assert app.read_log(LOG, "f" * 16) == app.Logged(False, False, "", "")
    assert "count=9" not in app.read_log(LOG, NONCE).text


def test_a_crash_is_told_with_its_signal() -> None:
    broken = LOG[: LOG.index("07-14 13:14:52.859")]
    signal = "07-14 13:14:52.700 22838 22838 F libc    : Fatal signal 11 (SIGSEGV), code 1\n"
    logged = app.read_log(broken + signal, NONCE)
    assert not logged.finished
    assert "crashed: Fatal signal 11" in app.failure(logged).message


def test_a_model_that_the_app_rejects_is_told_in_its_words() -> None:
    said = "07-14 13:14:52.700 22838 22838 E tflite  : Failed to construct interpreter\n"
    logged = app.read_log(LOG[: LOG.index("07-14 13:14:52.190")] + said, NONCE)
    assert "Failed to construct interpreter" in app.failure(logged).message


def test_the_flags_are_one_argument_for_the_phones_shell() -> None:
    command = app.start_command(["--graph=/data/local/tmp/a'b.tflite", "--num_threads=4"], NONCE)
    words = shlex.split(command)
    assert words[:6] == ["am", "start", "-S", "-n", app.ACTIVITY, "--es"]
    assert words[6:] == [
        "args",
        f"--graph=/data/local/tmp/a'b.tflite --num_threads=4 --benchmark_name={NONCE}",
    ]
    with pytest.raises(WorkerError, match="blank"):
        app.start_command(["--graph=/data/my folder/a.tflite"], NONCE)


@pytest.mark.parametrize(
    ("runner", "says"),
    [
        (RunnerSpec(app="x.apk"), "runner.app: tool benchmark_model does not use it"),
        (RunnerSpec(tool="benchmark_app", dialect="B"), "the benchmark app is of dialect A"),
    ],
)
def test_what_the_app_does_not_go_with_is_refused(runner: RunnerSpec, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        entry_rules.check(AndroidSpec(runner=runner))
