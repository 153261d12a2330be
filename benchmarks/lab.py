"""What does a lab lose when its processes are killed?

A scheduler, two hosts with an emulated phone each, and a client, each a process. In each round one
of them, drawn at random, gets `kill -9` at a random moment and is started again; a client goes on
with --resume. Counts the rounds in which every launch is there once and both phones are as they
were. Exits 1 unless that is all of them.

    python benchmarks/lab.py [--rounds 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
import yaml

from harness.emulator.daemon import Daemon
from harness.emulator.phone import Phone, Profile, load_profile
from harness.results import store

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
LAUNCHES = 5
PHONES = {"bench1": "pixel", "bench2": "old"}
VICTIMS = ("scheduler", "client", *PHONES)
PATIENT_S = 600.0
LATENCY_US = 300_000


class Round:
    """One lab, from its start to the report."""

    def __init__(self, folder: Path, phones: dict[str, Daemon], rng: random.Random) -> None:
        self.folder, self.phones, self.rng = folder, phones, rng
        self.address = f"tcp://127.0.0.1:{rng.randrange(20_000, 30_000)}"
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str) -> None:
        """The scheduler or a host, ready."""
        words = ["lab", "start", self.address]
        if name in PHONES:
            words = ["lab", "join", self.address, "--name", name, "--project", self._project(name)]
        log = self.folder / f"{name}-{len(list(self.folder.iterdir()))}.log"
        with log.open("w") as errors:
            self.running[name] = self._process(name, words, errors.fileno())
        end = time.monotonic() + PATIENT_S
        while "the lab" not in log.read_text():
            if time.monotonic() > end:
                raise TimeoutError(f"{name} did not start: {log.read_text()}")
            time.sleep(0.1)

    def client(self, *arguments: str) -> subprocess.Popen[str]:
        """A bench at the lab."""
        words = ["bench", "--lab", self.address, "--out", str(self.folder / "reports"), *arguments]
        with (self.folder / "client.log").open("a") as errors:
            return self._process("client", words, errors.fileno())

    def _process(self, name: str, words: list[str], errors: int) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MOBILE_BENCH_CACHE": str(self.folder / f"cache-{name}"),
        }
        command = [sys.executable, "-m", "harness", *words]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True
        )

    def _project(self, host: str) -> str:
        """devices.yaml of a host with its phone."""
        folder = self.folder / f"project-{host}"
        folder.mkdir(exist_ok=True)
        entry = {
            "kind": "android",
            "transport": "adb_tcp",
            "address": self.phones[host].address,
            "runner": {"device_path": "/system/bin/benchmark_model"},
        }
        (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": {f"at-{host}": entry}}))
        return str(folder)

    def carry_out(self, victim: str) -> list[str]:
        """What went wrong; empty if nothing did."""
        try:
            for name in ("scheduler", *PHONES):
                self.start(name)
            launches = ["--launches", str(LAUNCHES), "--iterations", "3"]
            client = self.client(str(MODEL), "--device", "all", *launches)
            self._until_saved(self.rng.randrange(1, LAUNCHES), client)
            killed = client if victim == "client" else self.running[victim]
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
            if victim != "client":
                self.start(victim)
                client.wait(PATIENT_S)
            (run,) = (self.folder / "reports").glob("[0-9]*")
            for _ in range(3):
                if client.returncode == 0:
                    break
                client = self.client("--resume", str(run))
                client.wait(PATIENT_S)
            return self._wrong(run)
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()

    def _until_saved(self, count: int, client: subprocess.Popen[str]) -> None:
        end = time.monotonic() + PATIENT_S
        while time.monotonic() < end and client.poll() is None:
            journals = list(self.folder.glob("reports/*/journal.jsonl"))
            if journals and journals[0].read_bytes().count(b'"launch"') >= count:
                return
            time.sleep(0.05)
        said = (self.folder / "client.log").read_text()
        raise TimeoutError(f"the run did not come so far: {said}")

    def _wrong(self, run: Path) -> list[str]:
        wrong = []
        for case in store.read_report(run).cases:
            indices = [launch.index for launch in case.launches]
            starts = {launch.started_at for launch in case.launches}
            if indices != list(range(LAUNCHES)) or len(starts) != LAUNCHES:
                wrong.append(f"{case.device} has the launches {indices}")
        for host, phone in self.phones.items():
            if left := [path.name for path in phone.phone.work.iterdir()]:
                wrong.append(f"{host} left {', '.join(left)}")
            if phone.phone.fixed_performance:
                wrong.append(f"{host} left fixed-performance mode on")
        return wrong


def sleeper(profile: str) -> Profile:
    """A phone whose inferences take a time of their own, so that this machine's processors do not
    decide how long a run goes on."""
    return msgspec.structs.replace(load_profile(profile), fixed_latency_us=LATENCY_US)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    killed: Counter[str] = Counter()
    well = 0
    for number in range(1, args.rounds + 1):
        victim = rng.choice(VICTIMS)
        killed[victim] += 1
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            phones = {
                host: stack.enter_context(Daemon(Phone(sleeper(profile), requires_auth=False)))
                for host, profile in PHONES.items()
            }
            wrong = Round(folder, phones, rng).carry_out(victim)
        well += not wrong
        said = "; ".join(wrong) or "nothing lost, nothing twice, both phones as they were"
        print(f"{number}: {victim} killed: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    of_what = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
    print(f"{well} of {args.rounds} rounds ({of_what})")
    return 0 if well == args.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
