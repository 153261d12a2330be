"""The worker's answers, real and broken: each fake worker is a script run as a real process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.core.errors import WorkerError
from harness.core.specs import HostSpec
from harness.core.types import Timing
from harness.devices.host.target import HostTarget
from harness.system import process
from tests.fakes import artifact, case

BROKEN = {
    "segfault": (
        "say('load'); import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "load",
        "SIGSEGV",
    ),
    "killed": ("say('load'); import os; os.kill(os.getpid(), 9)", "load", "out of memory"),
    "hang": ("say('warm-up'); import time; time.sleep(60)", "warm-up", "was ended"),
    "rubbish": ("say('load'); print('~~~~')", "load", "not a result"),
    "half a line": ("""print('{"stage": "lo', end='')""", "start", "not a result"),
    "flood": ("say('load')\nwhile True: print('{}' * 0 + ' ' * 65536, end='')", "load", "without"),
    "silence": ("say('iterations')", "iterations", "without a result"),
    "exit status": ("say('load'); print('{\"result\": {}}'); sys.exit(3)", "load", "status 3"),
    "own error": (
        """print('{"error": {"stage": "load", "message": "ValueError: no such op"}}')""",
        "load",
        "no such op",
    ),
    "last words": ("say('load'); sys.stderr.write('ran out of luck'); sys.exit(1)", "load", "luck"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_worker_fails_with_its_stage_and_a_reason(tmp_path: Path, name: str) -> None:
    code, stage, says = BROKEN[name]
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys\n"
        "def say(stage): print(json.dumps({'stage': stage}), flush=True)\n"
        f"sys.stdin.read()\n{code}\n"
    )
    target = HostTarget("host", HostSpec(launch_timeout_s=5), tmp_path, worker=worker)
    made = artifact("a")
    target.prepare(made, tmp_path / "inputs.npz")
    with pytest.raises(WorkerError) as error:
        target.launch(case("a"), made, Timing(), 0)
    assert error.value.stage == stage
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.mend


def test_a_time_out_ends_the_children_of_the_child_too(tmp_path: Path) -> None:
    marker = tmp_path / "alive"
    grandchild = f"import time, pathlib; time.sleep(2); pathlib.Path({str(marker)!r}).touch()"
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        "time.sleep(60)"
    )
    finished = process.run(
        [sys.executable, "-c", code], stdin=b"", log=tmp_path / "log", timeout_s=1
    )
    assert finished.timed_out
    process.run(
        [sys.executable, "-c", "import time; time.sleep(2.5)"],
        stdin=b"",
        log=tmp_path / "log",
        timeout_s=10,
    )
    assert not marker.exists()


def test_the_last_line_of_a_log_is_made_harmless(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n\x1b[31mred \xff\x07alert\n\n")
    assert process.last_line(log) == "[31mred �alert"
    assert process.last_line(tmp_path / "none") == ""
