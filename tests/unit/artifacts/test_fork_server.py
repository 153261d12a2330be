"""One process imports TensorFlow, and the jobs are forks of it."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.artifacts.child import forked
from harness.system.process import Child, python_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only")

# In place of harness.artifacts.child.main, so that a job does what the test wants of it.
MAIN = """
import os, sys, time
from pathlib import Path

def main(folder):
    print("tensorflow" in sys.modules, os.getcwd(), os.environ["NAMED"], flush=True)
    print("to the log", file=sys.stderr)
    what = (folder / "what").read_text()
    if what == "die":
        os.abort()
    if what == "stay":
        time.sleep(600)
    if what == "raise":
        raise ValueError("not foreseen")
    return int(what)
"""


@pytest.fixture
def job(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


class Jobs:
    """Starts jobs in one fork server whose `main` is the one above, and whose TensorFlow is a name
    that takes no time to import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("tensorflow", "keras"):
            (root / f"{name}.py").touch()
        (root / "sitecustomize.py").write_text(
            "import sys, types\n"
            "main = types.ModuleType('harness.artifacts.child.main')\n"
            f"exec({MAIN!r}, main.__dict__)\n"
            "sys.modules['harness.artifacts.child.main'] = main\n"
            "import harness.artifacts.child\n"
            "harness.artifacts.child.main = main\n"
        )

    def environment(self, **more: str) -> dict[str, str]:
        found = python_environment(NAMED="here", CUDA_VISIBLE_DEVICES="-1", **more)
        return {**found, "PYTHONPATH": f"{self.root}{os.pathsep}{found['PYTHONPATH']}"}

    def start(self, server: forked.ForkServer, what: str, **more: str) -> forked.Forked | None:
        folder = self.root / f"{what}-{len(list(self.root.iterdir()))}"
        (folder / "work").mkdir(parents=True)
        (folder / "what").write_text(what)
        with (self.root / "log").open("ab") as log:
            return server.start(folder, stderr=log, environment=self.environment(**more))


def test_it_can_be_started_before_there_is_a_job(job: Jobs) -> None:
    with forked.ForkServer() as server:
        assert server.pid is None
        server.get_ready(job.environment())
        ready = server.pid
        assert ready is not None
        started = job.start(server, "0")
        assert started is not None
        assert started.wait() == 0
        assert server.pid == ready
        started.end()


def test_a_job_is_what_a_new_process_would_be(job: Jobs) -> None:
    with forked.ForkServer() as server:
        started = [job.start(server, what) for what in ("0", "7", "die", "raise")]
        told = [(one.stdout.read().decode(), one.wait()) for one in started if one is not None]
        for one in started:
            assert one is not None
            one.end()
    assert [status for _, status in told] == [0, 7, -signal.SIGABRT, 1]
    for text, _ in told:
        imported, folder, named = text.split()
        assert (imported, Path(folder).name, named) == ("True", "work", "here")
    log = (job.root / "log").read_text()
    assert log.count("to the log") == 4
    assert "ValueError: not foreseen" in log


def test_the_server_outlives_the_thread_that_brought_the_first_job(job: Jobs) -> None:
    with forked.ForkServer() as server:

        def bring() -> None:
            started = job.start(server, "0")
            assert started is not None
            assert started.wait() == 0
            started.end()

        pids = []
        for _ in range(2):
            bringing = threading.Thread(target=bring)
            bringing.start()
            bringing.join()
            pids.append(server.pid)
        assert pids[0] is not None and pids[0] == pids[1]


def test_a_job_is_ended_from_any_thread_and_with_its_server(job: Jobs) -> None:
    with forked.ForkServer() as server:
        one, two = (job.start(server, "stay") for _ in range(2))
        assert one is not None and two is not None
        assert one.stdout.readline() and two.stdout.readline()
        killer = threading.Thread(target=one.kill)
        killer.start()
        assert one.wait() == -signal.SIGKILL
        killer.join()
        one.kill()  # harmless
    assert two.wait() == -signal.SIGKILL
    for ended in (one, two):
        ended.end()


def test_a_lost_server_is_told_as_a_kill_and_started_again(job: Jobs) -> None:
    with forked.ForkServer() as server:
        lost = job.start(server, "stay")
        assert lost is not None and lost.stdout.readline()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert lost.wait() == -signal.SIGKILL
        assert lost.stdout.read() == b""  # it was ended with its server
        lost.end()
        again = job.start(server, "0")
        assert again is not None
        assert again.wait() == 0
        again.end()


def test_a_job_is_lost_when_its_server_has_ended_and_not_before() -> None:
    own, theirs = socket.socketpair()
    theirs.close()
    late = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    with Child(late, stderr=subprocess.DEVNULL) as server:
        job = forked.Forked(io.BytesIO(), own, server)
        assert job.wait() == -signal.SIGKILL
        assert server.ended(0)
        job.end()


def test_what_is_read_at_the_start_must_be_the_same(job: Jobs) -> None:
    with forked.ForkServer() as server:
        first = job.start(server, "0")
        assert first is not None and first.wait() == 0
        first.end()
        assert job.start(server, "0", TF_ENABLE_ONEDNN_OPTS="0") is None
        other = job.start(server, "0", ANOTHER="1")
        assert other is not None and other.wait() == 0
        other.end()
