"""`kill -9` in a lab of real processes: nothing lost, nothing twice, the phone as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.emulator.daemon import Daemon
from tests.paths import ROOT
from tests.phone_bench import TINY, Run, assert_clean, entry
from tests.phones import adb_home, command, emulated, free_port, wait_for

__all__ = ["adb_home"]

pytestmark = [pytest.mark.usefixtures("adb_home"), pytest.mark.long]

PATIENT_S = 600.0
LAUNCHES = 4


class Lab:
    """A scheduler and a host with one phone, each a process."""

    def __init__(self, folder: Path, phone: Daemon) -> None:
        import yaml

        self.folder = folder
        (folder / "host").mkdir()
        there = {"devices": {"pixel": entry(phone, connect_timeout_s=60, reconnect_timeout_s=60)}}
        (folder / "host/devices.yaml").write_text(yaml.safe_dump(there))
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._stack = ExitStack()
        self.scheduler = self.start()
        self.host = self.join()

    def start(self) -> subprocess.Popen[str]:
        return self._spoken("lab is at", "lab", "start", self.address)

    def join(self) -> subprocess.Popen[str]:
        return self._spoken("joined the lab", "lab", "join", self.address, "--name", "bench1")

    def _spoken(self, words: str, *arguments: str) -> subprocess.Popen[str]:
        """A command once it has said `words`."""
        log = self.folder / f"{arguments[1]}-{free_port()}.log"
        with log.open("w") as errors:
            made = subprocess.Popen(
                [sys.executable, "-m", "harness", *arguments],
                cwd=self.folder / "host",
                env=environment(self.folder / "cache-of-host"),
                stderr=errors,
                text=True,
            )
        self._stack.callback(made.wait)
        self._stack.callback(made.kill)
        wait_for(lambda: words in log.read_text(), PATIENT_S)
        return made

    def close(self) -> None:
        self._stack.close()


def environment(cache: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "150",
        "MOBILE_BENCH_CACHE": str(cache),
    }


class Client(Run):
    """A bench at the lab, under way."""

    def __init__(self, lab: Lab, *arguments: str | Path) -> None:
        self.folder = lab.folder / "client"
        self.folder.mkdir(exist_ok=True)
        words = ["bench", "--lab", lab.address, *map(str, arguments)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words],
            cwd=self.folder,
            env=environment(lab.folder / "cache-of-client"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = self.stderr = ""


@pytest.fixture
def phone() -> Iterator[Daemon]:
    with emulated(requires_auth=False, fixed_latency_us=1000) as made:
        command(made, "benchmark_model", 'sleep 1; exec "$REAL" "$@"')
        yield made


@pytest.mark.parametrize("victim", ["host", "scheduler"])
def test_what_is_killed_costs_nothing_that_was_measured(
    tmp_path: Path, phone: Daemon, victim: str
) -> None:
    lab = Lab(tmp_path, phone)
    try:
        run = Client(lab, TINY, "--launches", str(LAUNCHES), "--device", "pixel")
        run.until(lambda: run.launches_saved() >= 1, PATIENT_S)
        killed = lab.host if victim == "host" else lab.scheduler
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        if victim == "host":
            # The task notices that its worker is gone, and leaves the phone as it was.
            wait_for(lambda: not list(phone.phone.work.iterdir()), PATIENT_S)
            lab.join()
        else:
            lab.start()
        status = run.finish(PATIENT_S)
        if status:  # it gave up on a slow machine; what is saved is gone on with
            (saved,) = (run.folder / "reports").glob("[0-9]*")
            run = Client(lab, "--resume", saved)
            assert run.finish(PATIENT_S) == 0, run.stderr
        launches = run.report.cases[0].launches
        assert [x.index for x in launches] == list(range(LAUNCHES))
        assert len({x.started_at for x in launches}) == LAUNCHES
        assert_clean(phone)
    finally:
        lab.close()
