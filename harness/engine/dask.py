"""Work on the hosts of a lab, through Dask's own client; local work stays in this process.

One thread, the one that gathers, decides everything. It gets messages from a queue: the events of
tasks, that they have ended, that they could not be sent. Files go straight to the hosts.
"""

from __future__ import annotations

import contextlib
import getpass
import platform
import queue
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from harness.core.base import Failure
from harness.core.errors import HarnessError
from harness.core.lab import HostOffer
from harness.core.text import clean
from harness.engine import INTERRUPTED, AwayWork, Later, Place, Work, lost_work
from harness.engine.lab.address import Address
from harness.engine.lab.connection import Connection
from harness.engine.lab.dask_settings import CONNECT_S, applied
from harness.engine.lab.hosts import free_of
from harness.engine.lab.protocol import Outcome, Task
from harness.engine.local import LocalEngine, stop
from harness.system import interrupts

LOOK_EVERY_S = 1.0
SENDERS = 8
LEAVE_S, LEAVE_AT_ONCE_S = 5.0, 1.0  # how long leaving a lab may take
LEAVING_S = 90.0  # how long to wait for phones to be put back after Ctrl-C
# How long a lab may be unreachable before its work is given up.
AWAY_S = 60.0

Say = Callable[[str], None]


class _Message(NamedTuple):
    """About the try `key`: an event or the outcome in JSON, or why it failed."""

    key: str
    event: bytes | None = None
    outcome: bytes | None = None
    failure: Failure | None = None


@dataclass
class _Try:
    """A piece of work at a host."""

    work: AwayWork
    place: Place
    future: Any = None
    asked_to_stop: bool = False


@dataclass
class _Waiting:
    """A piece of work without a place. `since` is by the monotonic clock."""

    work: AwayWork
    since: float = field(default_factory=time.monotonic)


class DaskEngine:
    """See the module and Engine. Made by `connect`."""

    def __init__(self, address: Address, say: Say) -> None:
        self.address = address
        self._say = say
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(applied())
        self._messages: queue.Queue[_Message] = queue.Queue()
        self._waiting: list[_Waiting] = []
        self._tries: dict[str, _Try] = {}
        self._local: list[tuple[Work, str]] = []
        self._senders = ThreadPoolExecutor(SENDERS)
        self._connection: Connection | None = None
        self._away_since: float | None = None

    def open(self) -> None:
        """Connect. Raises UsageError if no lab answers, or one of other versions."""
        self._connection = Connection(self.address, self._heard)

    def where(self) -> tuple[HostOffer, ...]:
        """See Engine. By name; raises OSError if the lab does not answer."""
        return self._lab.hosts()

    @property
    def _lab(self) -> Connection:
        if self._connection is None:
            raise OSError("the lab does not answer")
        return self._connection

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        """See Engine."""
        if isinstance(work, AwayWork):
            self._waiting.append(_Waiting(work))
        else:
            self._local.append((work, lane))

    def gather(self) -> None:
        """See Engine."""
        here, self._local = self._local, []
        local = LocalEngine()
        for work, lane in here:
            local.submit(work, lane)
        beside = threading.Thread(target=local.gather)
        if here:
            beside.start()
        try:
            self._carry_on(lambda: False)
            while beside.is_alive():
                beside.join(0.5)
        except KeyboardInterrupt:
            with contextlib.suppress(KeyboardInterrupt), interrupts.held():
                stop(work for work, _ in here)
                self._stop()
                end = time.monotonic() + LEAVING_S
                self._carry_on(lambda: time.monotonic() > end)
                for key in list(self._tries):
                    self._over(key, stopped=True)
                if here:
                    beside.join()

    def close(self) -> None:
        """See Engine."""
        self._senders.shutdown(wait=False, cancel_futures=True)
        if self._connection is not None:
            self._connection.close(LEAVE_S)
        self._stack.close()

    def end_lab(self) -> None:
        """End the scheduler and every worker; they put back what they changed."""
        self._lab.end_lab()

    # --- the loop ---

    def _carry_on(self, given_up: Callable[[], bool]) -> None:
        looked = 0.0
        while (self._waiting or self._tries) and not given_up():
            now = time.monotonic()
            if now - looked >= LOOK_EVERY_S:
                looked = now
                self._look()
            with contextlib.suppress(queue.Empty):
                self._take(self._messages.get(timeout=0.2))
                while True:
                    self._take(self._messages.get_nowait())

    def _look(self) -> None:
        """Find places for waiting work, and notice hosts that are gone."""
        try:
            hosts = self.where()
        except (OSError, TimeoutError, HarnessError) as error:
            self._lab_away(error)
            return
        self._away_since = None
        there = {host.address for host in hosts}
        for key, attempt in list(self._tries.items()):
            if attempt.place.host.address not in there:
                self._fail(key, lost_work(f"{attempt.place.host.name} has left the lab"))
        if self._waiting:
            self._place(hosts)

    def _lab_away(self, error: BaseException) -> None:
        """Nobody answers: the work there is lost, and the harness tries to reach the lab again for
        a while."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._say(f"the lab at {self.address} does not answer; waiting for it")
        for key in list(self._tries):
            self._fail(key, lost_work("the lab went away"))
        if self._connection is not None:
            self._connection.close(LEAVE_AT_ONCE_S)
            self._connection = None
        left = AWAY_S - (time.monotonic() - self._away_since)
        if left > 0:
            with contextlib.suppress(HarnessError, OSError):
                self.open()
                self._say("the lab is back")
            return
        away = Later(f"the lab at {self.address} went away", "go on with --resume", 0)
        for waiting in self._waiting:
            waiting.work.give_up(away, stopped=False)
        self._waiting = []

    def _place(self, hosts: tuple[HostOffer, ...]) -> None:
        free = {host.address: free_of(host, self._own_use(host)) for host in hosts}
        still: list[_Waiting] = []
        for waiting in self._waiting:
            found = waiting.work.place(hosts, free)
            if isinstance(found, Place):
                for resource, amount in found.uses.items():
                    free[found.host.address][resource] -= amount
                self._hand_out(waiting.work, found)
                continue
            left = found.within_s - (time.monotonic() - waiting.since)
            if left > 0:
                waiting.work.waiting(found, left)
                still.append(waiting)
            else:
                waiting.work.give_up(found, stopped=False)
        self._waiting = still

    def _own_use(self, host: HostOffer) -> dict[str, float]:
        """What our own tries use at the host, which the host may not have reported yet."""
        known = {doing.key for doing in host.doing}
        used: dict[str, float] = defaultdict(float)
        for key, attempt in self._tries.items():
            if attempt.place.host.address == host.address and key not in known:
                for resource, amount in attempt.place.uses.items():
                    used[resource] += amount
        return used

    def _hand_out(self, work: AwayWork, place: Place) -> None:
        job = work.job(place)
        key = f"{job.run}-{uuid.uuid4().hex[:12]}"
        attempt = self._tries[key] = _Try(work, place)
        lab = self._lab
        task = Task(
            key=key,
            name=job.name,
            run=job.run,
            who=f"{_user()}@{platform.node()}",
            function=job.function,
            arguments=msgspec.Raw(job.arguments),
            uses=dict(place.uses),
            topic=lab.topic,
            files=tuple(job.files),
        )

        def hand_out() -> None:
            try:
                lab.send(place.host, job.files)
                future = lab.hand_out(task, place.host)
            except Exception as error:
                said = clean(str(error) or type(error).__name__, 200)
                told = lost_work(f"{place.host.name} cannot be reached: {said}")
                self._messages.put(_Message(key, failure=told))
                return
            attempt.future = future
            future.add_done_callback(lambda done: self._future_done(key, done))

        self._senders.submit(hand_out)

    def _future_done(self, key: str, future: Any) -> None:
        """The outcome came as an event, unless that was lost on the way."""
        if future.status == "finished":
            with contextlib.suppress(Exception):
                self._messages.put(_Message(key, outcome=future.result(timeout=CONNECT_S)))
                return
        said = ""
        with contextlib.suppress(Exception):
            said = clean(str(future.exception(timeout=1)), 200)
        self._messages.put(_Message(key, failure=lost_work(said or "the host was lost")))

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Pass an event on to the deciding thread; called in Dask's thread."""
        _, said = event
        outcome = said.get("outcome")
        self._messages.put(_Message(said["key"], said.get("event"), outcome))

    def _take(self, message: _Message) -> None:
        attempt = self._tries.get(message.key)
        if attempt is None:
            return  # a message of a try that was given up
        if message.event is not None:
            if not attempt.work.hear(message.event):
                self._ask_to_stop([message.key])
        elif message.failure is not None:
            self._fail(message.key, message.failure)
        elif message.outcome is not None:
            outcome = msgspec.json.decode(message.outcome, type=Outcome)
            if outcome.failure is not None:
                self._fail(message.key, outcome.failure)
            else:
                assert outcome.answer is not None
                self._over(message.key)
                self._conclude(attempt.work, attempt.work.ended(outcome.answer.encode()))

    def _fail(self, key: str, failure: Failure) -> None:
        attempt = self._tries[key]
        self._over(key)
        self._conclude(attempt.work, attempt.work.lost(failure))

    def _conclude(self, work: AwayWork, ending: str | None) -> None:
        if ending is None:
            self._waiting.append(_Waiting(work))
        elif ending == "refused":
            self._stop()

    def _over(self, key: str, *, stopped: bool = False) -> None:
        """Forget a try; a host that still works on it notices that its client is gone."""
        attempt = self._tries.pop(key)
        if attempt.future is not None:
            with contextlib.suppress(Exception):
                attempt.future.cancel(force=True) if stopped else attempt.future.release()
        if stopped:
            attempt.work.give_up(INTERRUPTED, stopped=True)

    def _stop(self) -> None:
        """All of it."""
        for waiting in self._waiting:
            waiting.work.stop()
            waiting.work.give_up(INTERRUPTED, stopped=True)
        self._waiting = []
        for attempt in self._tries.values():
            attempt.work.stop()
        self._ask_to_stop(list(self._tries))

    def _ask_to_stop(self, keys: list[str]) -> None:
        by_host: dict[str, list[str]] = {}
        for key in keys:
            attempt = self._tries[key]
            if not attempt.asked_to_stop:
                attempt.asked_to_stop = True
                by_host.setdefault(attempt.place.host.address, []).append(key)
        lab = self._connection
        if lab is None:  # then nothing of ours is there any more
            return

        def ask(address: str, of: list[str]) -> None:
            with contextlib.suppress(Exception):
                lab.stop(address, of)

        for address, of in by_host.items():
            self._senders.submit(ask, address, of)

    # --- files ---

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        """See Engine."""
        return self._lab.has(address, keys)

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        """See Engine."""
        self._lab.fetch(address, sha256, write)


def connect(address: Address, say: Say = lambda text: None) -> DaskEngine:
    """An engine on the lab at `address`. Raises UsageError if none answers."""
    engine = DaskEngine(address, say)
    try:
        engine.open()
    except BaseException:
        engine.close()
        raise
    return engine


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "user"
