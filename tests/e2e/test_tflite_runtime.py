"""The other runtime, in an environment of its own: numpy 1.26 and CPython 3.10 or 3.11.

MOBILE_BENCH_TFLITE_PYTHON names that environment's Python; `.ci/run` makes one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.results import store
from tests.e2e.test_bench_cli import TINY, TINY_INT8, harness

PYTHON = os.environ.get("MOBILE_BENCH_TFLITE_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="MOBILE_BENCH_TFLITE_PYTHON names no environment with tflite-runtime"
)


def test_the_same_command_in_the_extras_own_environment(tmp_path: Path) -> None:
    assert PYTHON is not None
    done = subprocess.run(
        [
            PYTHON,
            "-m",
            "harness",
            "bench",
            str(TINY),
            str(TINY_INT8),
            "--quick",
            "--runtime",
            "tflite-runtime",
            "--json",
            "r.json",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cases = store.read_report(tmp_path / "r.json").cases
    assert {case.runtime for case in cases} == {"tflite-runtime"}
    codes = {case.variant: {f.code for f in case.findings} for case in cases}
    assert "slow-kernels" in codes["tiny_int8"]
    assert "slow-kernels" not in codes["tiny_float32"]
    assert "slow-kernels" in done.stdout


def test_two_runtimes_side_by_side_in_one_run(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(
        f"devices: {{host: {{kind: host, python: {{tflite-runtime: {PYTHON}}}}}}}"
    )
    done = harness(
        *("bench", TINY, "--runtime", "litert,tflite-runtime", "--quick", "--json", "r.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = store.read_report(tmp_path / "r.json")
    assert {case.runtime for case in report.cases} == {"litert", "tflite-runtime"}
    (facts,) = report.devices
    assert facts.runtimes["tflite-runtime"] == "2.14.0"
