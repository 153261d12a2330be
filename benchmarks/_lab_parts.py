"""The parts of a lab that can be measured with its hosts in this process: builds, and claims on a
phone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.emulator.daemon import Daemon
from harness.emulator.phone import Phone

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
LOGGED = 'echo begin >> "{log}"; "$REAL" "$@"; code=$?; echo end >> "{log}"; exit $code'
WAIT = "20m"


def build_s(hosts: int, variants: int, takes_s: float) -> float:
    """How long building takes at this many hosts with one processor each."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    from harness.engine import dask
    from harness.engine.lab import offers
    from tests import fixed_build
    from tests.labs import lab

    builds = offers.builds()._replace(at_once=1)
    with tempfile.TemporaryDirectory() as scratch, lab() as made:
        for number in range(hosts):
            name = f"host{number}"
            made.join(name, cores=1, builds=builds, cache=Path(scratch) / name)
        with contextlib.closing(dask.connect(made.address)) as engine:
            while len(engine.where()) < hosts:
                time.sleep(0.1)
            began = time.monotonic()
            fixed_build.build(engine, variants, takes_s, Path(scratch) / "client")
            return time.monotonic() - began


def claims(rounds: int, phone: Phone) -> tuple[int, int, list[str]]:
    """(launches, the most that ran at once, what went wrong) when two clients at a time ask for the
    same phone and wait for each other."""
    from harness.engine.lab import offers
    from tests.e2e.phone.test_lab import spec
    from tests.labs import lab
    from tests.phones import command

    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch, lab() as made, Daemon(phone) as daemon:
        log = Path(scratch) / "launches.log"
        command(daemon, "benchmark_model", LOGGED.format(log=log))
        devices = {"pixel": spec(daemon)}
        made.join(
            "bench1",
            offers.phones(devices, (), ()),
            look=lambda known, busy: offers.phones(devices, known, busy),
            cache=Path(scratch) / "bench1",
        )
        words = ["bench", str(MODEL), "--lab", str(made.address), "--device", "pixel"]
        words += ["--launches", "2", "--iterations", "3", "--wait", WAIT]
        for number in range(rounds):
            clients = [
                subprocess.Popen(
                    [sys.executable, "-m", "harness", *words, "--out", f"{scratch}/{number}{who}"],
                    env={**os.environ, "PYTHONPATH": str(ROOT)}
                    | {"MOBILE_BENCH_CACHE": f"{scratch}/cache-{who}"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for who in ("a", "b")
            ]
            for client in clients:
                said = client.communicate()[1]
                if client.returncode != 0:
                    wrong.append(f"round {number + 1}: {said.strip().splitlines()[-1]}")
        marks = log.read_text().split()
    under_way = most = 0
    for mark in marks:
        under_way += 1 if mark == "begin" else -1
        most = max(most, under_way)
    return marks.count("begin"), most, wrong
