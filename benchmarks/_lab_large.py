"""A lab of many simulated phones: what the scheduler and the client need. The scheduler is a
process; the hosts share another one, in which a phone's launches are drawn from a distribution and
reported like real ones. The client is this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.base import Case
from harness.core.lab import LabDevice, PhoneOffer, phone_resource
from harness.core.specs import AndroidSpec
from harness.core.types import Artifact, DeviceFacts, Launch, Plan, Report, Tool
from harness.engine.lab.child import Desk, DeskHere, Order, do
from harness.engine.lab.protocol import Outcome
from harness.measure import away
from harness.results.store import Entry

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
LATENCY_NS, SPREAD = 5_000_000, 0.05
ITERATIONS = 10
TAKES_S = 0.2  # a launch, at the phone
# Made here, since msgspec crashes where two threads are the first to decode a type.
_ORDER = msgspec.json.Decoder(away.Order)


class Cost(NamedTuple):
    """The cost of one run: processor time of the client, wall time of measuring, wall and processor
    time of the report, and the largest memory of the scheduler."""

    phones: int
    launches: int
    client_s: float
    wall_s: float
    report_s: float
    report_cpu_s: float
    scheduler_bytes: int


def cost(phones: int, hosts: int, launches: int) -> Cost:
    """Measure a lab of `phones` with a scheduler of its own."""
    from harness.engine import dask
    from harness.engine.lab.address import parse
    from harness.measure import away_run, lanes
    from harness.results import report as assemble
    from harness.results import store

    away_run.MEASURE = "_lab_large:measure"
    with tempfile.TemporaryDirectory() as scratch, _lab(Path(scratch), phones, hosts) as (to, pid):
        engine = dask.connect(parse(to, None))
        names = [f"p{number:04}" for number in range(phones)]
        while sum(len(host.phones) for host in engine.where()) < phones:
            time.sleep(0.2)
        header = _header(names, launches)
        folder = store.create(Path(scratch) / "reports", header)
        devices = {name: AndroidSpec(serial=name) for name in names}
        at_lab = {
            name: LabDevice(name=name, asked=name, resource=phone_resource(name), serial=name)
            for name in names
        }
        began, used = time.monotonic(), time.process_time()
        with contextlib.closing(engine):
            stopped = lanes.measure(
                folder, devices, {"tiny": MODEL}, _Silent(), engine=engine, at_lab=at_lab
            )
        client_s, wall_s = time.process_time() - used, time.monotonic() - began
        began, used = time.monotonic(), time.process_time()
        made = assemble.assemble(header, folder.read(), stopped=stopped, finished_at=None)
        store.write_report(folder.path, made)
        report_s, report_cpu_s = time.monotonic() - began, time.process_time() - used
        folder.close()
        done = sum(len(case.launches) for case in made.cases)
        if done != phones * launches:
            said = next((str(c.failure.message) for c in made.cases if c.failure), "no failure")
            raise RuntimeError(f"{done} launches of {phones * launches}: {said}")
        return Cost(phones, done, client_s, wall_s, report_s, report_cpu_s, _most_bytes(pid))


def _header(names: list[str], launches: int) -> Report:
    from harness.artifacts.tflite.inspect import inspect
    from harness.core.types import SCHEMA_VERSION

    artifact: Artifact = inspect(MODEL, variant="tiny")
    cases = tuple(Case(variant="tiny", device=n, runtime="litert", threads=1) for n in names)
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="mobile-bench-harness", version="0"),
        run_id="20260101-000000-aaaa",
        started_at="2026-01-01T00:00:00+00:00",
        host={},
        plan=Plan(cases=cases, launches=launches),
        artifacts=(artifact,),
    )


class _Silent:
    """A Listener."""

    def __init__(self) -> None:
        from harness.core.attendant import Attendant

        self.attendant = lambda device: Attendant()

    def opened(self, facts: DeviceFacts) -> None:
        """It is not shown."""

    def launching(self, case: Case, index: int, left_s: float | None) -> None:
        """It is not shown."""

    def failed(self, what: str, failure: object) -> None:
        """It is in the report."""

    def saved(self, case: Case, launch: Launch) -> None:
        """It is in the report."""


def _most_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell how much memory a process has had")


@contextlib.contextmanager
def _lab(folder: Path, phones: int, hosts: int) -> Iterator[tuple[str, int]]:
    """(address, process id of the scheduler)."""
    address = f"tcp://127.0.0.1:{random.randrange(20_000, 30_000)}"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        "MOBILE_BENCH_CACHE": str(folder / "cache"),
    }
    start = [sys.executable, "-m", "harness", "lab", "start", address]
    code = f"from _lab_large import hosts_here; hosts_here({address!r}, {phones}, {hosts})"
    join = [sys.executable, "-c", code]
    with contextlib.ExitStack() as stack:

        def begin(command: list[str], said: str) -> subprocess.Popen[bytes]:
            log = folder / f"{said.replace(' ', '-')}.log"
            with log.open("wb") as errors:
                process = subprocess.Popen(command, env=environment, stderr=errors)
            stack.callback(process.wait)
            stack.callback(process.kill)
            while said not in log.read_text():
                if process.poll() is not None:
                    raise RuntimeError(f"{command} did not start: {log.read_text()}")
                time.sleep(0.1)
            return process

        scheduler = begin(start, "the lab is at")
        begin(join, "joined")
        yield address, scheduler.pid


# --- the process of the hosts -----------------------------------------------------------------


def measure(arguments: bytes, desk: Desk) -> bytes:
    """Takes the place of harness.measure.away:measure."""
    told = _ORDER.decode(arguments)
    rng, count = random.Random(told.device), 0

    def tell(entry: Entry) -> None:
        nonlocal count
        count += 1
        desk.say(msgspec.json.encode(away.Message(entry=entry)))

    tell(Entry(device=DeviceFacts(name=told.device, kind="android", identity=told.device)))
    for index in range(told.header.plan.launches or 1):
        for case in told.header.plan.cases:
            if desk.stopping.wait(TAKES_S):
                return msgspec.json.encode(away.Answer(reason="interrupted", told=count))
            times = tuple(int(LATENCY_NS * rng.gauss(1, SPREAD)) for _ in range(ITERATIONS))
            launch = Launch(
                case=case.id,
                index=index,
                order=index,
                started_at=f"2026-01-01T00:00:{index % 60:02}+00:00",
                wall_ns=sum(times),
                init_ns=LATENCY_NS,
                first_inference_ns=LATENCY_NS,
                latency_ns=times,
            )
            tell(Entry(launch=launch))
    return msgspec.json.encode(away.Answer(reason="launches", told=count))


def _in_thread(
    order: Order,
    log: Path,
    tell: Callable[[bytes], None],
    expects: Callable[[float], None],
    wanted: Callable[[], bool],
) -> Outcome:
    """Takes the place of harness.engine.lab.task_process.done."""
    answer = do(order, DeskHere(Path(order.folder), Path(order.cache), tell, expects))
    assert isinstance(answer, bytes), answer
    return Outcome(answer=answer.decode())


def hosts_here(address: str, phones: int, hosts: int) -> None:
    """Play all hosts of the lab, until this process is killed."""
    from harness.engine.lab import task_process, worker
    from harness.engine.lab.address import parse
    from harness.engine.lab.dask_settings import applied

    task_process.done = _in_thread
    shares = [[f"p{n:04}" for n in range(phones)][start::hosts] for start in range(hosts)]

    async def join() -> None:
        made = []
        for number, share in enumerate(shares):
            offers = tuple(
                PhoneOffer(
                    resource=phone_resource(name),
                    name=name,
                    state="ready",
                    spec=AndroidSpec(serial=name),
                    serial=name,
                    model="Simulated",
                    abi="arm64-v8a",
                )
                for name in share
            )
            one = worker.make(
                parse(address, None), f"host{number:02}", lambda known, busy: known, offers
            )
            await worker.started(one)
            made.append(one)
        print("joined", file=sys.stderr, flush=True)
        await asyncio.Event().wait()

    with applied():
        asyncio.run(join())
