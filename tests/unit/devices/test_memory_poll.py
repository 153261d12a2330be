"""The shell text that reads the runner's memory on a phone, run by shells of this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.devices.android.memory_poll import _POLL_MEMORY

MINE = re.search(rb"Cpus_allowed:\s+(\S+)", Path("/proc/self/status").read_bytes())[1]  # type: ignore[index]
SHELLS = ["sh", pytest.param("mksh", marks=pytest.mark.needs("mksh"))]  # Android's is mksh

# Answers when the process asked about has ended, however long that takes.
LATE_READLINK = """#!/bin/sh
p=${1#/proc/}; p=${p%%/exe}
while grep -q '^State:[[:space:]]*[RSDTtI]' /proc/$p/status 2>/dev/null; do sleep 0.01; done
exec %s "$@"
"""


def poll(
    shell: str, folder: Path, code: str, path: str = "", text: str = _POLL_MEMORY
) -> list[int]:
    """Peak RSS and PSS in KiB, and how often the process was looked at."""
    run = shlex.join([sys.executable, "-c", code])
    done = subprocess.run(
        [shell, "-c", text.replace("@RUN@", run)],
        cwd=folder,
        env={**os.environ, "PATH": f"{path}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        check=True,
    )
    *counts, name, cpus = done.stdout.split()
    assert name == b"Cpus_allowed:"
    assert cpus == (MINE if int(counts[0]) else b"-"), "the runner may run where we may"
    return [int(field) for field in counts]


@pytest.mark.parametrize("shell", SHELLS)
def test_memory_is_read_while_the_runner_lives(shell: str, tmp_path: Path) -> None:
    code = f"import time; held = b'x' * {64 << 20}; time.sleep(0.3)"
    peak, pss, looks = poll(shell, tmp_path, code)
    assert peak > 64 << 10
    assert pss > 64 << 10
    assert looks


@pytest.mark.parametrize("shell", SHELLS)
def test_a_runner_that_ended_before_it_was_looked_at_was_not_seen(
    shell: str, tmp_path: Path
) -> None:
    readlink = tmp_path / "bin" / "readlink"
    readlink.parent.mkdir()
    readlink.write_text(LATE_READLINK % shutil.which("readlink"))
    readlink.chmod(0o755)
    assert poll(shell, tmp_path, "", path=f"{readlink.parent}:") == [0, 0, 0]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_phone_that_hides_processes_is_told_from_a_runner_that_ended(
    shell: str, tmp_path: Path
) -> None:
    hidden = _POLL_MEMORY.replace("/proc/", "/proc/hidden/")
    peak, pss, looks = poll(shell, tmp_path, "import time; time.sleep(0.3)", text=hidden)
    assert (peak, pss) == (0, 0)
    assert looks
