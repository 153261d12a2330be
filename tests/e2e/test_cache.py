"""The cache is emptied again and again beside a running bench, which does not notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import DATA, ROOT


@pytest.mark.long
def test_a_running_bench_keeps_what_it_uses(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MOBILE_BENCH_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "harness"]
    bench = subprocess.Popen(
        [*command, "bench", str(DATA / "tiny.tflite"), "--launches", "12", "--json", "report.json"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with bench:
        kept: set[str] = set()
        while bench.poll() is None:
            done = subprocess.run(
                [*command, "cache", "clear", "--json", "-"],
                env=env,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
            kept |= {entry["kind"] for entry in json.loads(done.stdout)["kept_in_use"]}
    assert bench.returncode == 0
    (case,) = json.loads((tmp_path / "report.json").read_bytes())["cases"]
    assert case["metrics"]["latency"]["n"] == 12
    assert "inputs" in kept
    cleared = subprocess.run(
        [*command, "cache", "clear"],
        check=True,
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "0 B left" in cleared.stdout
