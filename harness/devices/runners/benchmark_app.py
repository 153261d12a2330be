"""Google's benchmark APK: the classic benchmark_model (dialect A) inside an Android app.

It is started with the tool's flags in an Intent and prints nothing: its lines go to the log, which
all apps share. Sources: tensorflow/lite/tools/benchmark/android (BenchmarkModelActivity.java,
jni/benchmark_model_jni.cc, README.md); `adb logcat -v threadtime` as published by its users:

    07-14 13:14:56.520 22838 22838 I tflite  : count=25 first=187533 curr=140990 min=140071 ...
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from harness.core.errors import WorkerError
from harness.devices.runners import benchmark_model as runner

PACKAGE = "org.tensorflow.lite.benchmark"
ACTIVITY = f"{PACKAGE}/.BenchmarkModelActivity"
TAGS = "tflite:V tflite_BenchmarkModelActivity:V libc:F AndroidRuntime:E"

_LINE = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +(\d+) +\d+ ([VDIWEFA]) (.*?) *: ?(.*)")
_STARTED = "Running TensorFlow Lite benchmark with args:"
_FINISHED = "Inference timings in us: Init:"
_OWN_SUMMARY = "Average inference timings in us:"  # of the app, at level E: not an error
_LEVELS = {"I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL"}


class Logged(NamedTuple):
    """What the log says about one launch. `text` is what the tool would have printed, `crash` the
    signal that ended the app; both are empty without it."""

    started: bool
    finished: bool
    text: str
    crash: str


def start_command(arguments: list[str], nonce: str) -> str:
    """The shell command that starts it; `nonce` tells this launch from others in the log. The app
    splits its arguments at blanks. Raises WorkerError if there are any in them."""
    arguments = [*arguments, f"--benchmark_name={nonce}"]
    if any(len(argument.split()) != 1 for argument in arguments):
        raise WorkerError(
            "launch",
            "the benchmark app cannot be given a path with a blank in it",
            "choose another work_dir in devices.yaml",
        )
    return f"am start -S -n {ACTIVITY} --es args {shlex.quote(' '.join(arguments))}"


def log_command(since: str) -> str:
    """The shell command that prints what it logged. Nothing is cleared: the log is the phone's."""
    return f"logcat -d -v threadtime -T {shlex.quote(since)} -s {TAGS}"


def read_log(text: str, nonce: str) -> Logged:
    """From the output of `log_command`, as clean lines: the process that logged `nonce`."""
    pid = crash = ""
    lines: list[str] = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        who, level, tag, said = match.groups()
        if said.startswith(_STARTED) and f"--benchmark_name={nonce}" in said:
            pid, lines, crash = who, [], ""
        elif pid and who == pid:
            if tag in ("libc", "AndroidRuntime"):
                crash = crash or said
            elif tag == "tflite" and not said.startswith(_OWN_SUMMARY):
                lines.append(f"{_LEVELS.get(level, 'INFO')}: {said}")
    whole = "\n".join(lines)
    return Logged(bool(pid), _FINISHED in whole, whole, crash)


def interpret(logged: Logged, delegate: str) -> runner.Outcome:
    """The outcome of a launch that has finished."""
    return runner.interpret(0, logged.text, "", delegate=delegate, dialect="A")


def failure(logged: Logged) -> WorkerError:
    """Why a launch did not finish."""
    if logged.crash:
        return WorkerError(
            "launch",
            f"the benchmark app crashed: {logged.crash}",
            "use another build of the app (runner.app), or measure with tool: benchmark_model",
        )
    error = runner.failure(1, logged.text, "")
    return WorkerError("launch", error.message.replace("benchmark_model", "the app"), error.fix)
