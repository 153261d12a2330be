"""The process of `lab join`: Dask's worker, which offers what this host has and does tasks.

Each task is a process of its own (`child.py`), so that a worker that is killed takes nothing with
it: the task notices, puts its phone back as it was and ends.
"""

from __future__ import annotations

import ast
import asyncio
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__
from harness.artifacts.cache import BUILT
from harness.core.base import Failure
from harness.core.errors import HarnessError, UsageError
from harness.core.lab import ARM64, BUILD, PROCESSOR, Doing, HostOffer, PhoneOffer
from harness.core.specs import DeviceSpec
from harness.core.text import clean, is_sha256, plain_name
from harness.engine.lab import offers, protocol, task_process
from harness.engine.lab.address import Address
from harness.engine.lab.child import DeskHere, Order, do
from harness.engine.lab.dask_settings import CONNECT_S, applied
from harness.engine.lab.depot import Depot
from harness.engine.lab.protocol import Outcome, Task
from harness.engine.lab.signals import until_asked_to_end
from harness.system import processors
from harness.system.cache_use import cache_in_use
from harness.system.clock import iso, now_iso

OFFERS = "lab_offers"  # the name of the metric with what a host offers
LOOK_EVERY_S = 20.0
TRY_AGAIN_S = 2.0
# More than any host's phones and processors: resources limit tasks, not threads.
THREADS = 256

# Made before there are threads: msgspec crashes if two threads are the first to decode a type.
_TASK = msgspec.json.Decoder(Task)

Look = Callable[[tuple[PhoneOffer, ...], frozenset[str]], tuple[PhoneOffer, ...]]
Say = Callable[[str], None]


def join(address: Address, name: str, devices: Mapping[str, DeviceSpec], say: Say) -> None:
    """Run a worker of the lab until a signal or `lab stop` ends it; it joins again if it loses the
    lab. Raises UsageError where joining again cannot help: another version, a name that is
    taken."""
    with applied():
        asyncio.run(_join(address, name, devices, say))


async def _join(address: Address, name: str, devices: Mapping[str, DeviceSpec], say: Say) -> None:
    arm64 = offers.has_arm64(devices)
    builds, answers_with = offers.builds(), offers.answers_with()

    def look(known: tuple[PhoneOffer, ...], busy: frozenset[str]) -> tuple[PhoneOffer, ...]:
        return offers.phones(devices, known, busy)

    found = await asyncio.to_thread(look, (), frozenset())
    for offer in found:
        said = offer.model or "" if offer.state == "ready" else f"{offer.state}: {offer.error}"
        say(f"{offer.name}: {said}")
    joined_before = False
    while True:
        try:
            await check_versions(address)
            worker = make(
                address, name, look, found, arm64=arm64, builds=builds, answers_with=answers_with
            )
            await asyncio.wait_for(started(worker), 60)
        except UsageError:
            raise
        except (OSError, asyncio.TimeoutError) as error:
            if not joined_before:
                raise no_lab(address, error) from None
            if await until_asked_to_end(asyncio.sleep(TRY_AGAIN_S)):
                return
            continue
        joined_before = True
        say(f"joined the lab at {address} as {name}")
        try:
            if await until_asked_to_end(worker.finished()):
                say("leaving the lab")
                return
        finally:
            worker.end_tasks()
            await worker.close(reason="left the lab")
        if worker.dismissed:
            say("the lab has ended")
            return
        found = worker.phones
        say("lost the lab; joining again as soon as it answers")


async def started(worker: Any) -> None:
    """Wait until a worker has joined. Raises UsageError if the lab refuses it, OSError if none
    answers."""
    try:
        await worker
    except (RuntimeError, ValueError) as error:
        await worker.close()
        cause = error.__cause__ or error
        if isinstance(cause, OSError | asyncio.TimeoutError):
            raise cause from None
        said = clean(_refusal(str(cause)), 300)
        if "name taken" in said:
            raise UsageError(
                f"the lab has a host named {worker.name} already", "choose another with --name"
            ) from None
        raise UsageError(f"the lab refuses this host: {said}") from None


def _refusal(text: str) -> str:
    """What the scheduler said; Dask wraps it in a Python literal."""
    try:
        said = ast.literal_eval(text.partition("register: ")[2])
        return str(said["message"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        return text


async def check_versions(address: Address) -> None:
    """Raise UsageError, saying what to install, unless the lab runs what we run; OSError if none
    answers."""
    from distributed.core import rpc

    await asyncio.to_thread(address.reach, CONNECT_S)
    security = address.security()
    lab = rpc(str(address), connection_args=security.get_connection_args("client"))
    try:
        theirs = await lab.lab_versions()
    except (AttributeError, ValueError, TypeError, KeyError):
        theirs = None
    finally:
        await lab.close_rpc()
    protocol.refuse_other(theirs, protocol.own_versions(), str(address))


def no_lab(address: Address, error: BaseException) -> UsageError:
    """Why the lab at `address` cannot be reached."""
    said = " ".join(str(e) for e in (error, error.__cause__, error.__context__) if e).lower()
    if any(word in said for word in ("certificate", "tls", "ssl")):
        return UsageError(
            f"the lab at {address} does not accept the certificate in {address.keys}",
            "use one that `python -m harness lab keys` made beside the lab's own",
        )
    return UsageError(f"no lab answers at {address}", "start it: python -m harness lab start")


def make(
    address: Address,
    name: str,
    look: Look,
    found: tuple[PhoneOffer, ...] = (),
    *,
    arm64: bool = False,
    builds: offers.Builds = offers.NO_BUILDS,
    answers_with: str = "",
    cache: Path | None = None,
    cores: int | None = None,
) -> Any:
    """The worker, to be awaited inside an event loop. `look` finds the phones that are there now,
    given the known ones and the resources that are busy; it is called in a thread."""
    from distributed import Worker

    own = protocol.own_versions()
    amount = cores or processors.usable()
    resources: dict[str, float] = {PROCESSOR: amount, **({ARM64: amount} if arm64 else {})}
    resources |= {BUILD: builds.at_once} if builds.at_once else {}
    resources |= {offer.resource: 1 for offer in found if offer.state == "ready"}
    local = address.scheme == "tcp"

    class LabWorker(Worker):  # type: ignore[misc]
        """Dask's, with offers, files, and tasks that are processes."""

        def __init__(self) -> None:
            self.depot = Depot(cache or cache_in_use())
            self.cache = cache or cache_in_use()
            self.phones = found
            self.dismissed = False
            self._under_way: dict[str, tuple[Doing, threading.Event]] = {}
            self._changing = threading.Lock()
            self._scratch = tempfile.TemporaryDirectory(prefix="lab-")
            self._looking: asyncio.Task[None] | None = None
            super().__init__(
                str(address),
                name=name,
                nthreads=THREADS,
                resources=resources,
                memory_limit=0,
                security=address.security(),
                protocol=f"{address.scheme}://",
                host="127.0.0.1" if local else None,
                dashboard=False,
                local_directory=self._scratch.name,
                metrics={OFFERS: lambda worker: worker.offered()},
                startup_information={protocol.VERSIONS: lambda _: msgspec.to_builtins(own)},
            )
            self.handlers |= {
                "lab_built": self.lab_built,
                "lab_missing": self.lab_missing,
                "lab_put": self.lab_put,
                "lab_get": self.lab_get,
                "lab_stop": self.lab_stop,
                "lab_dismiss": self.lab_dismiss,
            }

        # --- what it offers ---

        def offered(self) -> object:
            with self._changing:
                doing = tuple(d for d, _ in self._under_way.values())
            return msgspec.to_builtins(
                HostOffer(
                    name=name,
                    address="",
                    processors=amount,
                    harness=__version__,
                    system=f"{platform.system()} {platform.machine()}",
                    arm64=arm64,
                    phones=self.phones,
                    doing=doing,
                    builds=builds.at_once,
                    builds_with=dict(builds.builds_with),
                    answers_with=answers_with,
                )
            )

        async def start_unsafe(self) -> Any:
            started = await super().start_unsafe()
            self._looking = asyncio.create_task(self._look_for_phones())
            return started

        async def _look_for_phones(self) -> None:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                with self._changing:
                    busy = frozenset(r for d, _ in self._under_way.values() for r in d.uses)
                seen = await asyncio.to_thread(look, self.phones, busy)
                await self._offer(seen)

        async def _offer(self, seen: tuple[PhoneOffer, ...]) -> None:
            had = {o.resource for o in self.phones if o.state == "ready"}
            has = {o.resource for o in seen if o.state == "ready"}
            self.phones = seen
            if had != has:
                now = dict.fromkeys(has - had, 1) | dict.fromkeys(had - has, 0)
                await self.set_resources(**now)

        async def lab_built(self, keys: list[str]) -> list[str]:
            """Those keys for which the cache has an artifact or a trained network."""
            kinds = [self.cache / kind for kind in BUILT]
            known = [key for key in keys if is_sha256(key)]
            return [key for key in known if any((kind / key).is_dir() for kind in kinds)]

        # --- files ---

        async def lab_missing(self, wanted: list[str]) -> list[str]:
            return self.depot.missing(wanted)

        async def lab_put(
            self, sha256: str, sender: str, offset: int, data: bytes, last: bool
        ) -> str:
            """'' when it is written, else what is wrong."""
            try:
                await asyncio.to_thread(
                    self.depot.receive, sha256, sender, offset, bytes(data), last=last
                )
            except HarnessError as error:
                return str(error)
            return ""

        async def lab_get(self, sha256: str, offset: int) -> bytes | str:
            try:
                return await asyncio.to_thread(self.depot.read, sha256, offset)
            except HarnessError as error:
                return str(error)

        # --- tasks ---

        async def lab_stop(self, keys: list[str]) -> None:
            """Ask these tasks to end as soon as what they changed has been put back."""
            with self._changing:
                for key in keys:
                    if key in self._under_way:
                        self._under_way[key][1].set()

        async def lab_dismiss(self) -> None:
            """The lab ends: do not join it again."""
            self.dismissed = True

        def end_tasks(self) -> None:
            with self._changing:
                for _, stopping in self._under_way.values():
                    stopping.set()

        def carry_out(self, task: Task) -> Outcome:
            """Do one task, in one of Dask's threads."""
            doing = Doing(
                key=task.key,
                name=task.name,
                run=task.run,
                who=task.who,
                since=now_iso("seconds"),
                uses=task.uses,
            )
            stopping = threading.Event()
            with self._changing:
                self._under_way[task.key] = (doing, stopping)
            try:
                outcome = self._carry_out(task, stopping)
            finally:
                with self._changing:
                    del self._under_way[task.key]
            # Sent after the task's own events; Dask's result could overtake them.
            said = msgspec.json.encode(outcome)
            self.log_event(task.topic, {"key": task.key, "outcome": said})
            return outcome

        def _carry_out(self, task: Task, stopping: threading.Event) -> Outcome:
            if absent := self.depot.missing(task.files):
                return Outcome(failure=task_process.lost(f"this host has no file {absent[0]}"))
            folder = self.cache / "lab" / "work" / plain_name(task.run) / plain_name(task.name)
            folder.mkdir(parents=True, exist_ok=True)
            order = Order(
                function=task.function,
                arguments=task.arguments,
                folder=str(folder),
                cache=str(self.cache),
            )

            def tell(event: bytes) -> None:
                self.log_event(task.topic, {"key": task.key, "event": event})

            def expects(left_s: float) -> None:
                with self._changing:
                    doing, _ = self._under_way[task.key]
                    until = iso(time.time() + left_s)
                    now = msgspec.structs.replace(doing, until=until)
                    self._under_way[task.key] = (now, stopping)

            def wanted() -> bool:
                """False once the client is gone or has given the task up."""
                known = self.state.tasks.get(task.key)
                return not stopping.is_set() and known is not None and known.state == "executing"

            if task.apart:
                return task_process.done(order, folder / "worker.log", tell, expects, wanted)
            desk = DeskHere(folder, self.cache, tell, expects)
            desk.stopping = stopping
            done = do(order, desk)
            if isinstance(done, Failure):
                return Outcome(failure=done)
            return Outcome(answer=done.decode())

        async def close(self, *args: Any, **kwargs: Any) -> Any:
            if self._looking is not None:
                self._looking.cancel()
            self.end_tasks()
            # The tasks end by themselves; this does not wait for them.
            kwargs["executor_wait"] = False
            closed = await super().close(*args, **kwargs)
            self._scratch.cleanup()
            return closed

    return LabWorker()


def carry_out(task: bytes) -> bytes:
    """The function that Dask runs: a Task in JSON -> its Outcome in JSON."""
    from distributed import get_worker

    worker: Any = get_worker()
    done: Outcome = worker.carry_out(_TASK.decode(task))
    return msgspec.json.encode(done)
