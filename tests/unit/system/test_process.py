"""Child processes: short questions, what ends them, and what a child finds to import."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.system import process

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_short_question() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert process.ask([sys.executable, "-c", code]) == (3, "out\n", "err\n")
    with pytest.raises(OSError, match="no such program"):
        process.ask(["no such program"])


def test_a_question_that_is_not_answered_ends_with_its_children() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="did not answer within 1 s"):
        process.ask(["sh", "-c", "sleep 60 & sleep 60"], timeout_s=1)
    assert time.monotonic() - began < 30


def test_a_child_ends_with_its_context() -> None:
    with process.Child(SLEEPS, stderr=subprocess.DEVNULL) as child:
        assert not child.ended(0.01)
    assert process.ending(child.returncode) == "killed by SIGKILL"


def test_a_child_finds_what_pythonpath_names_and_nothing_of_the_current_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "random.py").write_text("raise RuntimeError")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "found_there.py").touch()
    code = (
        "import json; from harness.system import process; import subprocess; "
        "subprocess.run([*process.module('json.tool'), '--help'], check=True, stdout=-3, "
        "env=process.python_environment()); "
        "subprocess.run([*process.module('found_there')], check=True, cwd='/', "
        "env=process.python_environment()); print(json.dumps(process.import_path()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "here",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["../packages", str(Path.cwd())])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f'"{tmp_path / "packages"}"' in done.stdout
    assert str(tmp_path / "here") not in done.stdout
