"""A lab of processes that are killed, stopped or cut off, and what is left of a run."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import yaml
from _lab_network import Network, network

from harness.core.types import Report
from harness.emulator.daemon import Daemon
from harness.emulator.phone import Phone, Profile, load_profile
from harness.results import store

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
LAUNCHES = 5
PHONES = {"bench1": "pixel", "bench2": "old"}
HOW = ("killed", "cut off", "stopped")
EVENTS = (
    ("killed", ("scheduler",)),
    ("killed", ("client",)),
    *((how, tuple(PHONES)) for how in HOW),
)
PATIENT_S = 600.0
Phones = Mapping[str, Sequence[Daemon]]  # by host
LATENCY_US = 300_000
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the hosts are on networks of their own, and there is TLS


class Round:
    """One lab, from its start to the report. With a network its hosts are in namespaces."""

    def __init__(
        self,
        folder: Path,
        phones: Phones,
        rng: random.Random,
        net: Network | None = None,
    ) -> None:
        self.folder, self.phones, self.rng, self.net = folder, phones, rng, net
        self._port = rng.randrange(20_000, 30_000)
        self.running: dict[str, subprocess.Popen[str]] = {}
        if net is not None:
            from harness.engine.lab import keys

            keys.make(folder / "keys", ["scheduler", "client", *phones])

    def _lab(self, name: str) -> list[str]:
        """The address of the lab as one of its processes knows it, with its certificate."""
        if self.net is None:
            return [f"tcp://127.0.0.1:{self._port}"]
        hosts = {"scheduler": EVERYWHERE, "client": self.net.gateway(next(iter(self.phones)))}
        at = hosts.get(name) or self.net.gateway(name)
        option = "--lab-keys" if name == "client" else "--keys"
        return [f"tls://{at}:{self._port}", option, str(self.folder / "keys" / name)]

    def start(self, name: str) -> None:
        """The scheduler or a host, ready."""
        words = ["lab", "start", *self._lab(name)]
        if name in self.phones:
            words = ["lab", "join", *self._lab(name), "--name", name]
            words += ["--project", self._project(name)]
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
        words = ["bench", *arguments, "--lab", *self._lab("client")]
        words += ["--out", str(self.folder / "reports")]
        with (self.folder / "client.log").open("a") as errors:
            return self._process("client", words, errors.fileno())

    def _process(self, name: str, words: list[str], errors: int) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MOBILE_BENCH_CACHE": str(self.folder / f"cache-{name}"),
        }
        command = [sys.executable, "-m", "harness", *words]
        if self.net is not None and name in self.phones:
            command = self.net.inside(name, command)
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True
        )

    def names(self, host: str) -> list[str]:
        """What a host calls its phones."""
        return [f"at-{host}-{number}" for number, _ in enumerate(self.phones[host])]

    def by_hand(self, host: str, phone: str, *arguments: str) -> Path:
        """A bench on one phone at its host; where its runs are."""
        out = self.folder / f"by-hand-{phone}"
        words = ["bench", *arguments, "--device", phone, "--project", self._project(host)]
        words += ["--out", str(out)]
        with (self.folder / "by-hand.log").open("a") as errors:
            if self._process(host, words, errors.fileno()).wait(PATIENT_S) != 0:
                raise RuntimeError((self.folder / "by-hand.log").read_text())
        return out

    def _project(self, host: str) -> str:
        """devices.yaml of a host with its phone."""
        folder = self.folder / f"project-{host}"
        folder.mkdir(exist_ok=True)
        entries = {
            name: {
                "kind": "android",
                "transport": "adb_tcp",
                "address": phone.address,
                "runner": {"device_path": "/system/bin/benchmark_model"},
            }
            for name, phone in zip(self.names(host), self.phones[host], strict=True)
        }
        (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
        return str(folder)

    def carry_out(self, how: str, victim: str) -> list[str]:
        """What went wrong when `victim` was killed, stopped or cut off; empty if nothing did."""
        try:
            for name in ("scheduler", *self.phones):
                self.start(name)
            launches = ["--launches", str(LAUNCHES), "--iterations", "3"]
            client = self.client(str(MODEL), "--device", "all", *launches)
            self._until_saved(self.rng.randrange(1, LAUNCHES), client)
            self._do(how, victim, client)
            client.wait(PATIENT_S)
            (run,) = (path for path in (self.folder / "reports").iterdir() if path.is_dir())
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

    def _do(self, how: str, victim: str, client: subprocess.Popen[str]) -> None:
        process = client if victim == "client" else self.running[victim]
        if how == "killed":
            process.kill()
            process.wait()
            if victim != "client":
                self.start(victim)
        elif how == "stopped":  # it hangs
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.rng.uniform(5, 90))
            process.send_signal(signal.SIGCONT)
        else:
            assert self.net is not None
            self.net.cut(victim)
            time.sleep(self.rng.uniform(5, 30))
            self.net.reconnect(victim)

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
        report: Report = store.read_report(run)
        for case in report.cases:
            indices = [launch.index for launch in case.launches]
            starts = {launch.started_at for launch in case.launches}
            if indices != list(range(LAUNCHES)) or len(starts) != LAUNCHES:
                wrong.append(f"{case.device} has the launches {indices}")
        for host, phone in ((h, phone) for h, all_ in self.phones.items() for phone in all_):
            if left := [path.name for path in phone.phone.work.iterdir()]:
                wrong.append(f"{host} left {', '.join(left)}")
            if phone.phone.fixed_performance:
                wrong.append(f"{host} left fixed-performance mode on")
        return wrong


def sleeper(profile: str, latency_us: int = LATENCY_US) -> Profile:
    """A phone whose inferences take a fixed time, so that this machine's processors do not decide
    how long a run takes."""
    return msgspec.structs.replace(load_profile(profile), fixed_latency_us=latency_us)


@contextlib.contextmanager
def phones_at(hosts: Mapping[str, Sequence[Profile]], net: Network | None) -> Iterator[Phones]:
    """The phones of each host, in its network if it has one."""
    with contextlib.ExitStack() as stack:
        made: dict[str, list[Daemon]] = {}
        for host, profiles in hosts.items():
            with contextlib.nullcontext() if net is None else net.sockets_of(host):
                made[host] = [Daemon(Phone(p, requires_auth=False)) for p in profiles]
                for daemon in made[host]:
                    stack.enter_context(daemon)
        yield made


def rounds(hows: Sequence[str], count: int, rng: random.Random) -> int:
    """How many of `count` rounds went well, each with an event drawn from `hows`. Prints a line for
    each."""
    events = [event for event in EVENTS if event[0] in hows]
    well = 0
    for number in range(1, count + 1):
        how, victims = rng.choice(events)
        victim = rng.choice(victims)
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            net = stack.enter_context(network(tuple(PHONES)))
            hosts = {host: [sleeper(profile)] for host, profile in PHONES.items()}
            phones = stack.enter_context(phones_at(hosts, net))
            wrong = Round(folder, phones, rng, net).carry_out(how, victim)
        well += not wrong
        said = "; ".join(wrong) or "nothing lost, nothing twice, both phones as they were"
        print(f"{number}: {victim} {how}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return well


def by_hand(latency_us: int, launches: int) -> tuple[float, float, list[str]]:
    """(seconds of one bench on all phones of three hosts, of the slowest phone alone, how the
    report differs from six runs by hand)."""
    hosts = {f"bench{n}": [sleeper(p, latency_us) for p in ("pixel", "old")] for n in (1, 2, 3)}
    for number, profile in enumerate(p for all_ in hosts.values() for p in all_):
        profile.props["ro.serialno"] = profile.props["ro.boot.serialno"] = f"EMULATED{number:04}"
    how_much = [str(MODEL), "--launches", str(launches), "--iterations", "3"]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        net = stack.enter_context(network(tuple(hosts)))
        phones = stack.enter_context(phones_at(hosts, net))
        lab = Round(folder, phones, random.Random(0), net)
        alone: dict[str, float] = {}
        seen: dict[str, object] = {}
        for host in hosts:
            for name in lab.names(host):
                began = time.monotonic()
                out = lab.by_hand(host, name, *how_much)
                alone[name] = time.monotonic() - began
                (run,) = (path for path in out.iterdir() if path.is_dir())
                seen |= _facts(store.read_report(run))
        try:
            for name in ("scheduler", *hosts):
                lab.start(name)
            began = time.monotonic()
            client = lab.client(*how_much, "--device", "all")
            if client.wait(PATIENT_S) != 0:
                raise RuntimeError((folder / "client.log").read_text())
            together = time.monotonic() - began
            (run,) = (path for path in (folder / "reports").iterdir() if path.is_dir())
            found = _facts(store.read_report(run))
        finally:
            for process in lab.running.values():
                process.kill()
                process.wait()
    wrong = [f"{n}: {found.get(n)}, by hand {seen[n]}" for n in seen if found.get(n) != seen[n]]
    return together, max(alone.values()), wrong


def _facts(report: Report) -> dict[str, object]:
    """By device: its identity, the case, and how many iterations each launch had."""
    identities = {d.name: (d.identity, d.extra.get("serial"), d.abi) for d in report.devices}
    return {
        case.device: (
            identities[case.device],
            case.variant,
            case.runtime,
            case.threads,
            [len(launch.latency_ns) for launch in case.launches],
        )
        for case in report.cases
    }
